"""Section III written out with loops: one network, one video, one time step, one FusionNet and one head at a time.

It shares nothing with the network it checks but the names of the weights and the noise's sites. Videos are lists of
tensors of their own lengths: there is no padding, no mask, no replica axis, and no algebra that saves work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from pamfn.recipe import Recipe

Videos = list[Tensor]  # one (steps, features) a video


@dataclass
class Draws:
    """The random numbers of a step, as the noise hands them out: stacked over videos, of the padded length."""

    dropout: Callable[[str, float, tuple[int, ...]], Tensor]
    token_dropout: Callable[[str, float, tuple[int, ...]], Tensor]
    gumbel: Callable[[str, tuple[int, ...]], Tensor]


@dataclass
class Said:
    """What the network says of its videos."""

    scores: list[Tensor]
    decisions: list[list[list[int]]] = field(default_factory=list)  # [stage][video][step], 1 to K
    attention: list[list[Tensor]] = field(default_factory=list)  # [stage][video], (heads, M, steps)


class NaivePAMFN:
    """A network of plain weights.

    Args:
        recipe: The settings.
        state: One replica's state dict; batch norm's running statistics are updated in place in training.
        modalities: Names in order.
        training: Whether batch norm uses the videos' own statistics.
        fixed: Branches that stay in evaluation.
        draws: Random numbers; None for none.
    """

    def __init__(
        self,
        recipe: Recipe,
        state: Mapping[str, Tensor],
        modalities: tuple[str, ...],
        *,
        training: bool = False,
        fixed: tuple[str, ...] = (),
        draws: Draws | None = None,
    ) -> None:
        self.recipe, self.state, self.modalities = recipe, state, modalities
        self.training, self.fixed, self.draws = training, fixed, draws

    def __call__(self, videos: list[dict[str, Tensor]]) -> Said:
        n, said = self.recipe.stages, Said([])
        maps = {name: self.branch(name, [video[name] for video in videos]) for name in self.modalities}
        maps = {name: [self.feature_dropped(name, i, f) for i, f in enumerate(of)] for name, of in maps.items()}
        # Sec. III-B.2: the mixed features start as zeros, at the length of the first stage's output
        state = [torch.zeros(len(x), self.state_width(), dtype=x.dtype) for x in maps[self.modalities[0]][1]]
        for i in range(1, n + 1):
            before = [maps[name][i - 1] for name in self.modalities]
            after = [maps[name][i] for name in self.modalities]
            state = self.stage(i, state, before, after, said)
            if i <= n - 2:
                state = halved(state)
            elif i == n - 1:
                state = averaged(state)
        said.scores = self.head("head", state, self.recipe.head_dropout, layers=self.recipe.head_layers)
        return said

    # --- Sec. III-B.1: a branch ---

    def branch(self, name: str, xs: Videos) -> list[Videos]:
        learns, p = self.learns(name), f"branches.{name}"
        xs = self.padded([self.standardised(p, x) for x in xs])
        xs = self.rectified(f"{p}.embedding.norm1", self.linear(f"{p}.embedding.linear1", xs), learns)
        xs = self.rectified(f"{p}.embedding.norm2", self.linear(f"{p}.embedding.linear2", xs), learns)
        if learns:
            xs = self.dropped(f"{name}.embedding", self.recipe.embedding_dropout, xs)
        maps = [xs]
        for i in range(self.recipe.stages):
            block = self.block(f"{p}.blocks.{i}", maps[-1], "gelu", learns=learns)
            maps.append(halved(block) if i < self.recipe.stages - 1 else averaged(block))
        return maps

    def branch_score(self, name: str, xs: Videos) -> list[Tensor]:
        pooled = self.branch(name, xs)[-1]
        return self.head(f"branches.{name}.head", pooled, self.recipe.branch_head_dropout, site=f"{name}.head")

    def padded(self, xs: Videos) -> Videos:
        shortest = 2 ** (self.recipe.stages - 1)
        return [torch.cat([x, x.new_zeros(max(shortest - len(x), 0), x.shape[1])]) for x in xs]

    def standardised(self, p: str, x: Tensor) -> Tensor:
        if not self.recipe.standardise:
            return x
        return (x - self.state[f"{p}.standardise.mean"]) * self.state[f"{p}.standardise.scale"]

    def block(self, p: str, xs: Videos, activation: str, *, learns: bool = True, net: int | None = None) -> Videos:
        act = {"gelu": functional.gelu, "relu": functional.relu}[activation]
        hidden = xs
        for i in (1, 2):
            normal = self.norm(f"{p}.norm{i}", self.conv(f"{p}.conv{i}", hidden, net), learns, net)
            hidden = [act(h) for h in normal]
        return [x + h for x, h in zip(xs, hidden, strict=True)]

    # --- A stage of the mixed branch ---

    def state_width(self) -> int:
        return 3 * self.recipe.width

    def stage(self, i: int, state: Videos, before: list[Videos], after: list[Videos], said: Said) -> Videos:
        p, site = f"stages.{i - 1}", f"stage{i - 1}"
        mixed = self.mixed_block(f"{p}.mixed", state, first=i == 1)
        modal, weights = self.decoder(
            f"{p}.msfd.attention", mixed, after, None, -1, self.recipe.msfd_heads, f"{site}.msfd"
        )
        decisions, softs = self.policy(p, i, before)
        read = self.cross_decoder(p, [mixed, modal], self.fusion_nets(p, i, before), self.masks(decisions, softs), site)
        said.decisions.append(decisions)
        said.attention.append(weights)
        return beside([mixed, modal, read])

    def cross_decoder(self, p: str, query: list[Videos], cross: list[Videos], masks: list[Tensor], site: str) -> Videos:
        sign = -1 if self.recipe.cmfd_sign == "negative" else 1
        heads = self.recipe.cmfd_heads
        return self.decoder(f"{p}.cmfd.attention", beside(query), cross, masks, sign, heads, f"{site}.cmfd")[0]

    def mixed_block(self, p: str, xs: Videos, *, first: bool) -> Videos:
        exact = first and self.recipe.mixed_start == "exact"  # batch norm of a constant is its own bias

        def norm(name: str, ys: Videos) -> Videos:
            if exact:
                return [self.state[f"{p}.{name}.bias"].expand(y.shape) for y in ys]
            return self.norm(f"{p}.{name}", ys)

        hidden = [functional.relu(h) for h in norm("norm1", self.conv(f"{p}.conv1", xs))]
        hidden = self.rectified(f"{p}.norm2", self.conv(f"{p}.conv2", hidden))
        short = [functional.relu(h) for h in norm("shortcut_norm", self.linear(f"{p}.shortcut", xs))]
        return [h + s for h, s in zip(hidden, short, strict=True)]

    # --- Eq. 2 to 4, and 11: a decoder ---

    def decoder(
        self,
        p: str,
        queries: Videos,
        tokens: list[Videos],
        masks: list[Tensor] | None,
        sign: int,
        heads: int,
        site: str,
    ) -> tuple[Videos, list[Tensor]]:
        d = self.recipe.width // heads
        if self.recipe.query_layers == 2:
            queries = self.linear(f"{p}.project", queries)
        asked = self.linear(f"{p}.query", queries)
        keys = [self.linear(f"{p}.key", xs) for xs in tokens]  # [token][video], (steps, D)
        values = [self.linear(f"{p}.value", xs) for xs in tokens]
        kept = self.kept_tokens(site, heads, len(tokens), len(queries), max(map(len, queries)))
        features, weights = [], []
        for v, q in enumerate(asked):
            rows, seen = [], torch.zeros(heads, len(tokens), len(q), dtype=q.dtype)
            for t in range(len(q)):
                parts = []
                for h in range(heads):
                    own = slice(h * d, (h + 1) * d)
                    scores = [sign * (q[t, own] @ key[v][t, own]) / math.sqrt(d) for key in keys]
                    scored = torch.stack(scores) + (0 if masks is None else masks[v][t])
                    alpha = torch.softmax(scored, dim=0)
                    seen[h, :, t] = alpha.detach()
                    used = alpha if kept is None else alpha * kept[h, :, v, t]
                    parts.append(sum(used[j] * value[v][t, own] for j, value in enumerate(values)))
                rows.append(torch.cat(parts))
            features.append(torch.stack(rows))
            weights.append(seen)
        return features, weights

    def kept_tokens(self, site: str, heads: int, tokens: int, videos: int, steps: int) -> Tensor | None:
        p = self.recipe.attention_dropout
        if self.draws is None or p == 0 or not self.training:
            return None
        return self.draws.token_dropout(site, p, (heads, tokens, videos, steps))

    # --- Eq. 5 and 6: FusionNet k ---

    def fusion_nets(self, p: str, i: int, before: list[Videos]) -> list[Videos]:
        read = self.projected(f"{p}.afm.mix", before)
        return [self.fusion_net(p, k, i, before, read) for k in range(self.recipe.fusion_nets)]  # [K][video]

    def fusion_net(self, p: str, k: int, i: int, before: list[Videos], read: list[Videos]) -> Videos:
        summed = []
        for v, alphas in enumerate(self.fusion_weights(f"{p}.afm.mix", k, read)):
            steps = [
                sum(alphas[t, m] * modality[v][t] for m, modality in enumerate(before)) for t in range(len(alphas))
            ]
            summed.append(torch.stack(steps))
        refined = self.block(f"{p}.afm.refine", summed, self.recipe.fusion_activation, net=k)
        return self.pooled(i, refined)

    def projected(self, p: str, before: list[Videos]) -> list[Videos]:
        inner = "trunks" if self.recipe.fusion_design == "trunk" else "projections"
        return [self.rectified(f"{p}.norms.{m}", self.linear(f"{p}.{inner}.{m}", xs)) for m, xs in enumerate(before)]

    def fusion_weights(self, p: str, k: int, read: list[Videos]) -> Videos:
        if self.recipe.fusion_design == "trunk":
            logits = [self.linear(f"{p}.channels.{m}", xs, k) for m, xs in enumerate(read)]
            together = beside(logits)
        else:
            joined = beside(read)
            hidden = [functional.relu(h) for h in self.linear(f"{p}.hidden", joined, k)]
            together = self.linear(f"{p}.weights", hidden, k)
        return [torch.softmax(x, dim=1) for x in together]

    # --- Eq. 7 to 10, and 12: PolicyNet's decision and its mask ---

    def policy(self, p: str, i: int, before: list[Videos]) -> tuple[list[list[int]], Videos]:
        joined = beside(before)
        if self.recipe.policy_layers == 2:
            joined = [functional.relu(h) for h in self.linear(f"{p}.afm.policy.hidden", joined)]
        count = self.recipe.fusion_nets
        columns = [self.linear(f"{p}.afm.policy.logits", joined, k) for k in range(count)]
        logits = self.pooled(i, beside(columns))
        noise = None
        if self.draws is not None:
            noise = self.draws.gumbel(f"stage{i - 1}.afm", (len(logits), max(map(len, logits)), count))
        tau = self.state["tau"].exp() if self.recipe.tau_form == "exp" else self.state["tau"]
        decisions: list[list[int]] = []
        softs = []
        for v, of_video in enumerate(logits):
            noisy = [torch.log(torch.softmax(o, dim=0)) for o in of_video]
            if noise is not None:
                noisy = [n + noise[v, t] for t, n in enumerate(noisy)]
            decisions.append([int(n.argmax()) + 1 for n in noisy])
            softs.append(torch.stack([torch.exp(n / tau) / torch.exp(n / tau).sum() for n in noisy]))
        return decisions, softs

    def masks(self, decisions: list[list[int]], softs: Videos) -> Videos:
        hard = [[[0.0 if k < c else -1e9 for k in range(self.recipe.fusion_nets)] for c in of] for of in decisions]
        return [torch.tensor(h, dtype=s.dtype) + s - s.detach() for h, s in zip(hard, softs, strict=True)]

    def pooled(self, i: int, xs: Videos) -> Videos:
        return halved(xs) if i < self.recipe.stages else averaged(xs)

    # --- Layers ---

    def head(self, p: str, xs: Videos, rate: float, *, layers: int = 1, site: str = "head") -> list[Tensor]:
        xs = self.dropped(site, rate, xs)
        if layers == 2:
            xs = self.rectified(f"{p}.norm", self.linear(f"{p}.hidden", xs))
            xs = self.dropped(f"{site}.hidden", 0.5, xs)
        return [torch.sigmoid(x)[0, 0] for x in self.linear(f"{p}.score", xs)]

    def linear(self, p: str, xs: Videos, net: int | None = None) -> Videos:
        weight, bias = self.weights(p, net)
        return [functional.linear(x, weight, bias) for x in xs]

    def conv(self, p: str, xs: Videos, net: int | None = None) -> Videos:
        weight, bias = self.weights(p, net)
        return [functional.conv1d(x.T[None], weight, bias, padding=1)[0].T for x in xs]

    def norm(self, p: str, xs: Videos, learns: bool = True, net: int | None = None) -> Videos:
        weight, bias = self.weights(p, net)
        mean, variance = self.state[f"{p}.running_mean"], self.state[f"{p}.running_var"]
        if net is not None:
            mean, variance = mean[net], variance[net]
        rows = torch.cat(xs)
        normal = functional.batch_norm(rows, mean, variance, weight, bias, self.training and learns, 0.1, 1e-5)
        return list(normal.split([len(x) for x in xs]))

    def rectified(self, p: str, xs: Videos, learns: bool = True) -> Videos:
        return [functional.relu(x) for x in self.norm(p, xs, learns)]

    def weights(self, p: str, net: int | None) -> tuple[Tensor, Tensor]:
        weight, bias = self.state[f"{p}.weight"], self.state[f"{p}.bias"]
        return (weight, bias) if net is None else (weight[net], bias[net])

    def learns(self, name: str) -> bool:
        return self.training and not (name in self.fixed and self.recipe.fixed_branches == "fixed")

    def feature_dropped(self, name: str, i: int, xs: Videos) -> Videos:
        xs = [x.detach() for x in xs] if name in self.fixed else xs
        return self.dropped(f"feature.{name}.{i}", self.recipe.feature_dropout, xs)

    def dropped(self, site: str, rate: float, xs: Videos) -> Videos:
        if self.draws is None or rate == 0 or not self.training:
            return xs
        kept = self.draws.dropout(site, rate, (len(xs), max(map(len, xs)), xs[0].shape[1]))
        return [x * kept[v, : len(x)] for v, x in enumerate(xs)]


def halved(xs: Videos) -> Videos:
    """Returns the mean of steps 2t and 2t + 1; an odd last step is dropped."""
    return [torch.stack([(x[2 * t] + x[2 * t + 1]) / 2 for t in range(len(x) // 2)]) for x in xs]


def averaged(xs: Videos) -> Videos:
    """Returns the mean over all of a video's steps, as one step."""
    return [(sum(x) / len(x))[None] for x in xs]


def beside(maps: list[Videos]) -> Videos:
    """Returns several maps' features of each step as one."""
    return [torch.cat(of, dim=1) for of in zip(*maps, strict=True)]
