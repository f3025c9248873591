"""What numbers of a video mean as light, and the same light as sRGB.

Signals are uint16 RGB [H, W, 3], 65535 being a signal of 1; results are sRGB [H, W, 3], uint8 or uint16, with the
primaries of BT.709, which sRGB shares. Transfers and primaries are numbered as in ITU-T H.273, which codecs and FFmpeg
use; other primaries are `Chromaticities`.
"""

from functools import cache

import cv2
import numpy as np
from numpy.typing import DTypeLike

LINEAR, PQ, HLG = 8, 16, 18
LOGARITHMIC = (9, 10)
BT2020, DCI_P3, DISPLAY_P3 = 9, 11, 12

Chromaticities = tuple[float, ...]
"""CIE (x, y) of red, green, blue and white: eight numbers."""
ACES_AP0 = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
ACES_AP1 = (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)
_NUMBERED = {
    1: (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329),
    BT2020: (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329),
    DISPLAY_P3: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329),
    DCI_P3: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351),
}
_SAME_PRIMARIES = 0.002
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""From XYZ to what Bradford's chromatic adaptation scales."""

_WHITE = 203.0
"""Light of the white of a picture in HDR, cd/m2 (ITU-R BT.2408)."""
_PEAK = 1000.0 / _WHITE
"""The brightest light that is told apart, as a multiple of white."""
_KNEE = 0.87
"""The light up to which HDR is shown as it is: a level of 240 of 255. White comes to 245 then."""
_HLG_GAMMA = 1.2
"""Of the whole system, on a display of 1000 cd/m2 (ITU-R BT.2100)."""
_TO_BT709 = {
    BT2020: [[1.660491, -0.587641, -0.072850], [-0.124551, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]],
    DISPLAY_P3: [[1.224940, -0.224940, 0.0], [-0.042057, 1.042057, 0.0], [-0.019638, -0.078636, 1.098274]],
}
_TO_BT709[DCI_P3] = _TO_BT709[DISPLAY_P3]
_BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)


def must_be_converted(transfer: int, primaries: int | Chromaticities) -> bool:
    """Whether pixels that are coded so are visibly other than those of sRGB and BT.709."""
    return transfer in (LINEAR, PQ, HLG) or _matrix_to_bt709(primaries) is not None


def known_primaries(chromaticities: Chromaticities) -> int | Chromaticities:
    """The number of these primaries, where they have one that counts here."""
    return next((number for number, known in _NUMBERED.items()
                 if np.abs(np.subtract(known, chromaticities)).max() < _SAME_PRIMARIES), chromaticities)


@cache
def _matrix_to_bt709(primaries: int | Chromaticities) -> np.ndarray | None:
    """From linear RGB of these primaries to that of BT.709, white to white; None: they are those."""
    if isinstance(primaries, int):
        return np.array(_TO_BT709[primaries]) if primaries in _TO_BT709 else None
    theirs, their_white = _to_xyz(primaries)
    ours, our_white = _to_xyz(_NUMBERED[1])
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ our_white / (_BRADFORD @ their_white)) @ _BRADFORD
    return np.linalg.inv(ours) @ adapted @ theirs


def _to_xyz(chromaticities: Chromaticities) -> tuple[np.ndarray, np.ndarray]:
    """The matrix from linear RGB to XYZ, and the white in XYZ."""
    x, y = np.reshape(chromaticities, (4, 2)).T
    xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    return xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3]), xyz[:, 3]


def to_srgb(signal: np.ndarray, transfer: int, primaries: int | Chromaticities,
            dtype: DTypeLike = np.uint8) -> np.ndarray:
    """The light of a signal, as sRGB.

    HDR is shown with its white (203 cd/m2) as the white of sRGB, as ITU-R BT.2408 puts the one into the other, but
    that what is brighter than nine tenths of white is pressed together, so that highlights up to 1000 cd/m2 keep their
    shape: white itself comes to a level of 245. A hue stays as it is; colours beyond those of sRGB are cut off.

    Args:
        signal: uint16 RGB [H, W, 3].
        transfer: of the signal; those that are neither linear nor HDR are taken for sRGB.
        primaries: of the signal; unknown ones are taken for those of BT.709.
        dtype: of the result, uint8 or uint16.
    """
    light = _light_of(transfer)[signal]
    if transfer == HLG:
        luminance = cv2.transform(light, _BT2020_LUMINANCE[None])
        light *= (np.maximum(luminance, 1e-6) ** (_HLG_GAMMA - 1))[..., None]
        light *= _PEAK
    if (matrix := _matrix_to_bt709(primaries)) is not None:
        light = cv2.transform(light, matrix.astype(np.float32))
    if transfer in (PQ, HLG):
        light *= _compression(light.max(axis=2))[..., None]
    codes = (np.clip(light, 0, 1) * 65535 + 0.5).astype(np.uint16)
    return _srgb_levels(np.dtype(dtype))[codes]


def _compression(light: np.ndarray) -> np.ndarray:
    """By what to multiply light whose brightest channel is given, so that none is above 1."""
    factor = np.ones_like(light)
    bright = light > _KNEE
    above = np.minimum(light[bright], _PEAK)
    # A logarithm that goes on from the knee with slope 1 and reaches 1 at the peak.
    slope = _logarithm_slope()
    pressed = _KNEE + (1 - _KNEE) * np.log1p(slope * (above - _KNEE)) / np.log1p(slope * (_PEAK - _KNEE))
    factor[bright] = pressed / light[bright]
    return factor


@cache
def _logarithm_slope() -> float:
    slope = 20.0
    for _ in range(50):  # (1 - knee) * slope / log(1 + slope * (peak - knee)) = 1
        slope = np.log1p(slope * (_PEAK - _KNEE)) / (1 - _KNEE)
    return float(slope)


@cache
def _light_of(transfer: int) -> np.ndarray:
    """The light of each signal, float32 [65536]: 1 is white; for HLG the light of the scene, 1 its brightest."""
    signal = np.arange(65536) / 65535
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        power = signal ** (1 / m2)
        light = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) * 10000 / _WHITE
    elif transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(signal <= 0.5, signal ** 2 / 3, (np.exp((signal - c) / a) + b) / 12)
    elif transfer == LINEAR:
        light = signal
    else:
        light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@cache
def _srgb_levels(dtype: np.dtype) -> np.ndarray:
    """The sRGB level of each amount of light, uint8 or uint16 [65536]."""
    light = np.arange(65536) / 65535
    coded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return (coded * np.iinfo(dtype).max).round().astype(dtype)
