import torch

from .. import InterpolationMode  # noqa: F401


def grayscale_to_rgb(image):
    return image.repeat_interleave(3, -3) if image.shape[-3] == 1 else image


def resize(image, size, interpolation=InterpolationMode.BILINEAR, antialias=True):
    pictures = image.reshape(-1, *image.shape[-3:])
    resized = torch.nn.functional.interpolate(pictures, tuple(size), mode=interpolation.value, antialias=antialias)
    return resized.reshape(*image.shape[:-2], *size)


def pad(image, padding, fill=0, padding_mode="constant"):
    left, top, right, bottom = padding
    return torch.nn.functional.pad(image, (left, right, top, bottom), mode=padding_mode, value=fill)


def crop(image, top, left, height, width):
    return image[..., top:top + height, left:left + width]


def normalize(image, mean, std, inplace=False):
    mean, std = (torch.as_tensor(v, dtype=image.dtype)[:, None, None] for v in (mean, std))
    return (image - mean) / std
