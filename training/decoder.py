"""The decoder's forward for training: transformers' own parameters, one compiled layer, a prefix shared by segments.

A row is a prefix (system text and video, or nothing else) and any number of segments (questions) that read the prefix
and themselves, never one another. Only what may be read is computed, so no mask over the whole row is needed. The
arithmetic is bf16 with the residual stream, norms and softmax in fp32; `verify_hf.py` checks the result in fp32.
"""

import torch
import torch.nn.functional as F

HEAD = 32
PRECISION = torch.bfloat16  # verify_hf.py sets float32
INVERSE = 1 / (1000.0 ** (torch.arange(0, HEAD, 2).float() / HEAD))


def norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight


def turned(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


def own_scores(q, k):
    length = q.shape[-2]
    hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
    return (q @ k.transpose(-1, -2)).float().masked_fill(hidden, -1e9)


def layer(prefix, segments, places, n1, wq, wk, wv, wo, n2, wg, wu, wd):
    """prefix (B, P, D), segments a list of (B, N, T, D); places the rotary tables of the prefix and of each list."""
    shapes = [prefix.shape, *(s.shape for s in segments)]
    x = torch.cat([prefix.flatten(0, 1), *(s.flatten(0, 2) for s in segments)])
    wide = x.shape[-1]
    half = lambda w: w.to(PRECISION)
    h = norm(x, n1).to(PRECISION)
    q, k, v = (F.linear(h, half(w)) for w in (wq, wk, wv))
    outputs, at = [], 0
    keys = values = None
    for shape, (cos, sin) in zip(shapes, places):
        count = shape[:-1].numel()
        qs, ks, vs = (
            t[at : at + count].view(*shape[:-1], wide // HEAD, HEAD).transpose(-2, -3) for t in (q, k, v)
        )
        at += count
        qs, ks = turned(qs, cos, sin) * HEAD**-0.5, turned(ks, cos, sin)
        if keys is None:
            keys, values = ks, vs
            mixed = own_scores(qs, ks).softmax(-1).to(PRECISION) @ vs
        else:
            batch, number, heads, length, _ = qs.shape
            flat = qs.transpose(1, 2).reshape(batch, heads, number * length, HEAD)
            far = (flat @ keys.transpose(-1, -2)).float().view(batch, heads, number, length, -1).transpose(1, 2)
            weights = torch.cat([far, own_scores(qs, ks)], -1).softmax(-1).to(PRECISION)
            back = weights[..., : far.shape[-1]].transpose(1, 2).reshape(batch, heads, number * length, -1) @ values
            mixed = back.view(batch, heads, number, length, HEAD).transpose(1, 2)
            mixed = mixed + weights[..., far.shape[-1] :] @ vs
        outputs.append(mixed.transpose(-2, -3).reshape(count, wide))
    x = x + F.linear(torch.cat(outputs), half(wo)).float()
    h = norm(x, n2).to(PRECISION)
    x = x + F.linear(F.silu(F.linear(h, half(wg))) * F.linear(h, half(wu)), half(wd)).float()
    parts = x.split([shape[:-1].numel() for shape in shapes])
    return parts[0].view(shapes[0]), [p.view(s) for p, s in zip(parts[1:], shapes[1:])]


compiled = torch.compile(layer, dynamic=False)


def rotary(start: int, length: int):
    angles = torch.arange(start, start + length).float()[:, None] * INVERSE
    angles = torch.cat((angles, angles), -1)
    return angles.cos().to(PRECISION), angles.sin().to(PRECISION)


def decode(net, prefix, segments=(), watch=(), run=compiled, layers=None):
    """Normed outputs of the prefix and of every list of segments, and both as they are after the watched layers.

    `layers` stops after so many of them.
    """
    language, seen = net.model.language_model, {}
    segments = list(segments)
    places = [rotary(0, prefix.shape[1]), *(rotary(prefix.shape[1], s.shape[2]) for s in segments)]
    for number, part in enumerate(language.layers[:layers]):
        a, m = part.self_attn, part.mlp
        prefix, segments = run(
            prefix, segments, places, part.input_layernorm.weight, a.q_proj.weight, a.k_proj.weight, a.v_proj.weight,
            a.o_proj.weight, part.post_attention_layernorm.weight, m.gate_proj.weight, m.up_proj.weight,
            m.down_proj.weight,
        )
        if number in watch:
            seen[number] = prefix, segments
    weight = language.norm.weight
    return norm(prefix, weight), [norm(s, weight) for s in segments], seen
