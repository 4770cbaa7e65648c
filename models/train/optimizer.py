"""Muon for the convolutions, Adam for everything else, behind one optimizer.

Muon replaces a matrix's averaged gradient by the nearest orthogonal matrix, so
that all directions of a layer learn at the same rate. The update is scaled to
the root mean square that Adam's would have: both take the same learning rate.
"""
import torch


def orthogonal(matrix, rounds=5):
    """An approximately orthogonal factor of `matrix`, by a quintic Newton-Schulz iteration."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    wide = x if x.shape[0] <= x.shape[1] else x.T
    for _ in range(rounds):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide if x.shape[0] <= x.shape[1] else wide.T


class Muon(torch.optim.Optimizer):
    """`muon=True` groups: momentum, orthogonalized. Other groups: Adam."""

    def __init__(self, net, lr, muon=True, momentum=0.95, betas=(0.9, 0.99)):
        matrices = [p for p in net.parameters() if p.ndim == 4 and muon]
        rest = [p for p in net.parameters() if not (p.ndim == 4 and muon)]
        super().__init__([{"params": matrices, "muon": True}, {"params": rest, "muon": False}],
                         {"lr": lr, "momentum": momentum, "betas": betas})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                update = self.muon(p, group) if group["muon"] else self.adam(p, group)
                p.sub_(update, alpha=group["lr"])

    def muon(self, p, group):
        mean = self.state[p].setdefault("mean", torch.zeros_like(p))
        mean.lerp_(p.grad, 1 - group["momentum"])
        nesterov = p.grad.lerp(mean, group["momentum"])
        matrix = nesterov.flatten(1)
        return (orthogonal(matrix) * 0.2 * max(matrix.shape) ** 0.5).view_as(p)

    def adam(self, p, group):
        state = self.state[p]
        if not state:
            state.update(step=torch.zeros(()), mean=torch.zeros_like(p), square=torch.zeros_like(p))
        state["step"] += 1
        b1, b2 = group["betas"]
        state["mean"].lerp_(p.grad, 1 - b1)
        state["square"].lerp_(p.grad.square(), 1 - b2)
        mean = state["mean"] / (1 - b1 ** state["step"])
        return mean / ((state["square"] / (1 - b2 ** state["step"])).sqrt() + 1e-8)
