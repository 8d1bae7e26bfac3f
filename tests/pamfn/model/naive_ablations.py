"""What the ablations leave out or replace (Sec. IV-F), written out with loops beside Section III."""

from __future__ import annotations

import torch
from naive_pamfn import NaivePAMFN, Said, Videos, beside
from torch import Tensor


class NaiveAblation(NaivePAMFN):
    """A network of plain weights, of which something is left out or replaced."""

    def state_width(self) -> int:
        return self.recipe.width * sum([True, self.recipe.msfd != "none", self.recipe.cmfd != "none"])

    def stage(self, i: int, state: Videos, before: list[Videos], after: list[Videos], said: Said) -> Videos:
        p, site, settings = f"stages.{i - 1}", f"stage{i - 1}", self.recipe
        parts = [self.mixed_block(f"{p}.mixed", state, first=i == 1)]
        if settings.fusing_stages is not None and i > settings.fusing_stages:
            return parts[0]
        if settings.msfd == "attention":
            heads = settings.msfd_heads
            modal, seen = self.decoder(f"{p}.msfd.attention", parts[0], after, None, -1, heads, f"{site}.msfd")
        elif settings.msfd == "weighted":
            modal, seen = self.weighted(after, self.state[f"{p}.msfd.logits"], None)
        if settings.msfd != "none":
            said.attention.append(seen)
            parts.append(modal)
        if settings.cmfd != "none":
            parts.append(self.of_fusions(p, i, before, parts, said, site))
        return beside(parts)

    def of_fusions(self, p: str, i: int, before: list[Videos], query: list[Videos], said: Said, site: str) -> Videos:
        cross = self.fusion_nets(p, i, before)
        if self.recipe.policy == "free":
            masks = [torch.zeros(len(x), len(cross), dtype=x.dtype) for x in cross[0]]
        else:
            decisions, softs = self.policy(p, i, before)
            said.decisions.append(decisions)
            if self.recipe.policy == "unranked":
                return self.lone(p, cross, decisions, softs)
            masks = self.masks(decisions, softs)
        if self.recipe.cmfd == "weighted":
            return self.weighted(cross, self.state[f"{p}.cmfd.logits"], masks)[0]
        return self.cross_decoder(p, query, cross, masks, site)

    def weighted(self, tokens: list[Videos], logits: Tensor, masks: list[Tensor] | None) -> tuple[Videos, list[Tensor]]:
        features, weights = [], []
        for v in range(len(tokens[0])):
            rows, seen = [], []
            for t in range(len(tokens[0][v])):
                scores = torch.exp(logits if masks is None else logits + masks[v][t])
                alpha = scores / scores.sum()
                rows.append(sum(alpha[j] * token[v][t] for j, token in enumerate(tokens)))
                seen.append(alpha.detach())
            features.append(torch.stack(rows))
            weights.append(torch.stack(seen, dim=1)[None])
        return features, weights

    def lone(self, p: str, cross: list[Videos], decisions: list[list[int]], softs: Videos) -> Videos:
        """Takes the features of FusionNet c; the soft decision's gradient goes to all K, as if it had weighed them."""
        values = [self.linear(f"{p}.cmfd.value", x) for x in cross] if self.recipe.cmfd == "attention" else cross
        features = []
        for v, (decided, soft) in enumerate(zip(decisions, softs, strict=True)):
            rows = []
            for t, c in enumerate(decided):
                as_if = sum(soft[t, k] * value[v][t].detach() for k, value in enumerate(values))
                rows.append(values[c - 1][v][t] + as_if - as_if.detach())
            features.append(torch.stack(rows))
        return features
