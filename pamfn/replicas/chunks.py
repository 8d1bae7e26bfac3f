"""Rows side by side: a few networks at a time as one grouped convolution, small enough for the processor's cache.

On the CPU a convolution is fastest with its features innermost, and one of a narrow network too small to be worth its
call. A chunk is therefore a few rows with their features side by side, (B, T, rows x D), on which oneDNN's grouped
convolution runs near the processor's peak, and elementwise passes find the chunk in cache.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

CHUNK_FLOATS = 2**18 + 2**17  # 1.5 MB: what a core's second-level cache still serves well
LEAST_IMAGES = 16  # from which torch leaves convolutions of one tap to oneDNN
SAFE_WIDTH = 16  # below, kernels read across the border of two networks
SAFE_BLOCK = 32  # floats that elementwise kernels take at once; what is left over they may round differently
SAFE_SUMS = 64  # columns that sums take at once; what is left over they add in another order


def goes_by_chunks(x: Tensor, *, training: bool) -> bool:
    """Tells whether units are computed in chunks: in float32 on the CPU, not where evaluation needs a gradient."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and (training or not torch.is_grad_enabled())
    )


def chunks(rows: int, videos: int, steps: int, inputs: int, outputs: int) -> list[slice]:
    """Returns equal slices of the rows, as large as the cache allows.

    All chunks have one shape, and a row's numbers do not depend on its place in a chunk: widths that kernels would
    not take in whole vectors go row by row.
    """
    most = max(1, CHUNK_FLOATS // (videos * steps * max(inputs, outputs)))
    whole = inputs % SAFE_WIDTH == 0 and outputs % SAFE_WIDTH == 0
    size = max(
        n
        for n in range(1, min(rows, most) + 1)
        if n == 1 or (whole and rows % n == 0 and n * inputs % SAFE_BLOCK == 0 and n * outputs % SAFE_BLOCK == 0)
    )
    return [slice(start, start + size) for start in range(0, rows, size)]


def beside(x_GBTD: Tensor) -> Tensor:
    """Returns rows with their features side by side, (G, B, T, D) as (B, T, G D); a view of a single row."""
    rows, videos, steps, width = x_GBTD.shape
    return x_GBTD.permute(1, 2, 0, 3).reshape(videos, steps, rows * width)


def apart(x_BTC: Tensor, rows: int) -> Tensor:
    """Returns a view of a chunk with its rows in front, (B, T, G D) as (G, B, T, D)."""
    return torch.unflatten(x_BTC, -1, (rows, -1)).permute(2, 0, 1, 3)


def convolve(x_BTC: Tensor, weight_GOKI: Tensor, bias_C: Tensor | None = None) -> Tensor:
    """Returns each row's convolution of 1 or 3 taps over time with zero borders, (B, T, G I) to (B, T, G O)."""
    rows, outputs, taps, _ = weight_GOKI.shape
    y = functional.conv2d(_image(x_BTC, taps), _kernel(weight_GOKI), bias_C, padding=(0, taps // 2), groups=rows)
    return y.permute(0, 2, 3, 1).reshape(*x_BTC.shape[:2], rows * outputs)


def convolve_backward(
    grad_BTC: Tensor, x_BTC: Tensor, weight_GOKI: Tensor, *, needs_input: bool = True
) -> tuple[Tensor, Tensor]:
    """Returns the gradients of a convolution's input, an empty one if it needs none, and of its weights."""
    rows, _, taps, _ = weight_GOKI.shape
    images = _image(grad_BTC, taps), _image(x_BTC, taps), _kernel(weight_GOKI)
    needs = (needs_input, True, False)
    grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
        *images, None, (1, 1), (0, taps // 2), (1, 1), False, (0, 0), rows, needs
    )
    grad_x = grad_x.permute(0, 2, 3, 1).reshape(x_BTC.shape) if needs_input else x_BTC.new_empty(0)
    return grad_x, grad_weight.permute(0, 2, 3, 1).reshape(weight_GOKI.shape)


def pooled(x_BTC: Tensor) -> Tensor:
    """Returns the mean of neighbours in time, (B, T, C) to (B, T // 2, C); an odd last step is dropped."""
    half = x_BTC.shape[1] // 2
    return (x_BTC[:, 0 : 2 * half : 2] + x_BTC[:, 1 : 2 * half : 2]).mul_(0.5)


def pooled_backward(grad_BTC: Tensor, steps: int) -> Tensor:
    """Returns the gradient of what `pooled` pooled, T steps again."""
    videos, half, width = grad_BTC.shape
    grad = grad_BTC.new_empty(videos, steps, width)
    torch.unflatten(grad[:, : 2 * half], 1, (half, 2)).copy_((grad_BTC * 0.5)[:, :, None])
    grad[:, 2 * half :].zero_()
    return grad


def column_sums(x_BTC: Tensor, rows: int) -> Tensor:
    """Returns the sum over videos and time of each feature, (C), by the same additions at every place of a chunk."""
    x_NC = x_BTC.flatten(0, 1)
    if rows == 1 or x_NC.shape[1] % SAFE_SUMS == 0:
        return x_NC.sum(0)
    return torch.cat([x_ND.sum(0) for x_ND in x_NC.chunk(rows, dim=1)])


def _image(x_BTC: Tensor, taps: int) -> Tensor:
    """Returns the chunk as torch's images of one line, (B, C, 1, T), whose memory has the features innermost.

    A convolution of one tap sees no neighbours, so its places may come as any number of videos; for few, torch's own
    takes more than twice the time of oneDNN's.
    """
    if taps == 1 and x_BTC.shape[0] < LEAST_IMAGES and x_BTC[..., 0].numel() % LEAST_IMAGES == 0:
        x_BTC = x_BTC.reshape(LEAST_IMAGES, -1, x_BTC.shape[2])
    return x_BTC[:, None].permute(0, 3, 1, 2)


def _kernel(weight_GOKI: Tensor) -> Tensor:
    return weight_GOKI.flatten(0, 1)[:, None].permute(0, 3, 1, 2)
