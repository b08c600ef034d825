"""Expected values of the statistics, from scipy and statsmodels: python make_statistics.py > statistics.json"""
import json

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
import statsmodels.api as sm

rng = np.random.default_rng(0)


def clustered(values, groups):
    """Mean with standard errors clustered by group; t with groups - 1 degrees of freedom."""
    fit = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "df_correction": True}, use_t=True
    )
    low, high = fit.conf_int()[0]
    return {"low": low, "high": high, "p": fit.pvalues[0]}


def case(sizes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    values = rng.normal(-5, 3, len(sizes))[groups] + rng.exponential(4, len(groups))
    return {
        "clusters": [values[groups == g].tolist() for g in range(len(sizes))],
        "mean": values.mean(),
        **clustered(values, groups),
    }


singles = case([1] * 5)
values = np.concatenate([np.array(c) for c in singles["clusters"]])
low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
assert np.allclose([low, high], [singles["low"], singles["high"]], atol=1e-9)

skewed = rng.exponential(4, 150) - 3
bca = stats.bootstrap((skewed,), np.mean, n_resamples=200_000, method="BCa", rng=1, batch=1000)

ps = rng.uniform(0, 1, 40) ** 3
print(
    json.dumps(
        {
            "means": [singles, case([1] * 12), case([3, 1, 2, 5, 4, 1, 1, 2]), case([10, 1])],
            "bca": {
                "values": skewed.tolist(),
                "low": bca.confidence_interval.low,
                "high": bca.confidence_interval.high,
            },
            "wilson": [
                {"count": k, "of": n, "bounds": list(proportion_confint(k, n, method="wilson"))}
                for k, n in [(0, 5), (5, 5), (3, 7), (190, 200), (1, 1000)]
            ],
            "mcnemar": [
                {"lost": a, "won": b, "p": mcnemar([[9, a], [b, 7]], exact=True).pvalue}
                for a, b in [(3, 9), (10, 10), (0, 6), (1, 1), (40, 70)]
            ],
            "fdr": {
                "ps": ps.tolist(),
                "rejected": multipletests(ps, 0.05, "fdr_bh")[0].tolist(),
            },
        },
        indent=1,
    )
)
