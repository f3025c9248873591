"""Networks of Neural Actor (Liu et al. 2021): texture encoder, residual deformation, and the field of an actor.

Modules have the names that released checkpoints use (docs/neural_actor/model.md has the table), so weights are copied
as they are. Textures are [3, S, S] in [0, 1] here, row 0 is v = 1. Densities are raw: the renderer takes what is above
0. Colours are raw, in the range of the images, without tanh.
"""

from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.checkpoints import read_checkpoint
from util.errors import UserError
from util.pretrained import Pretrained, load_weights

RESNET = Pretrained("texture encoder", "https://download.pytorch.org/models/resnet34-b627a593.pth",
                    "begin with random weights: --no_pretrained")
LAYER_WIDTHS = (64, 128, 256, 512, 1024)
"""Channels of the texture's features, by the number of the encoder's maps."""
KNOWN_INPUTS = ("feat", "pos", "attnout", "texture", "ray", "skin", "height", "colour")
SKIN_START = 0.1
"""Deviation of the codes of the skin in the beginning."""
DENSITY_SCALE, SURFACE_SCALE, SURFACE_START = 100.0, 0.005, 1.0
"""Densities that begin as the body's rise by the first, per metre, with each second, in metres, under a surface that
is as many of the second above the skin as the third says."""
MASK_SIDE = 512


class Input(NamedTuple):
    """One entry of an input specification, `name:octaves:dim:type`.

    Attributes:
        name: what goes in.
        octaves: of its sines and cosines; 0: as it is.
        dim: its width.
        kind: b: frequencies are multiples of pi and the input itself is added; a: for the cosines of angles.
    """

    name: str
    octaves: int = 0
    dim: int = 3
    kind: str = "b"

    @property
    def width(self) -> int:
        """Its width after encoding."""
        return self.dim if not self.octaves else self.dim * (2 * self.octaves + (self.kind == "b"))


def parse_inputs(text: str, option: str = "inputs") -> list[Input]:
    """Read an input specification, such as `feat:0:256,ray:4:3:b`.

    Raises:
        UserError: it is none, with `option` in front.
    """
    inputs = []
    for entry in text.split(","):
        name, *rest = entry.strip().split(":")
        try:
            octaves, dim = [int(word) for word in rest[:2]] + [0, 3][len(rest):]
            kind = rest[2] if len(rest) > 2 else "a" if name in ("ray", "normal") else "b"
            if not name or octaves < 0 or dim < 1 or kind not in ("a", "b") or len(rest) > 3:
                raise ValueError
        except ValueError:
            raise UserError(f"{option}: found '{entry.strip()}'; expected name:octaves:dim:type, such as pos:6:3 or "
                            "ray:4:3:b, with commas between them; type is a (angles) or b") from None
        inputs.append(Input(name, octaves, dim, kind))
    return inputs


class Encoding(nn.Module):
    """Sines and cosines of an input: for each of its numbers all sines, then all cosines, of rising frequency."""

    emb: Tensor

    def __init__(self, octaves: int, kind: str = "b", times_pi: bool = True):
        super().__init__()
        self.kind = kind
        frequencies = 2.0 ** torch.arange(octaves)
        self.register_buffer("emb", frequencies * torch.pi if times_pi and kind == "b" else frequencies)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] to [..., 2 D * octaves], and D more with the input itself, at the end."""
        angle = x if self.kind == "b" else x.clamp(-1 + 1e-6, 1 - 1e-6).acos()
        scaled = angle[..., None] * self.emb
        waves = torch.cat((scaled.sin(), scaled.cos()), -1).flatten(-2)
        return torch.cat((waves, x), -1) if self.kind == "b" else waves


class Layer(nn.Module):
    """A linear layer and a ReLU."""

    def __init__(self, inputs: int, outputs: int, published_start: bool = True):
        super().__init__()
        linear = nn.Linear(inputs, outputs)
        self.net = nn.Sequential(linear, nn.ReLU())
        if published_start:
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        return self.net(x)


class Layers(nn.Module):
    """Layers in a row; perhaps a linear one at the end, and perhaps the input once more in the middle.

    After layer `skip` (from 0) the input is put in front, and the pair divided by the square root of 2.
    """

    def __init__(self, inputs: int, widths: list[int], last: int = 0, skip: int = -1, published_start: bool = True):
        super().__init__()
        self.skip = skip if skip < len(widths) - 1 or last else -1
        before = [inputs, *widths[:-1]]
        layers: list[nn.Module] = [
            Layer(width + (inputs if i and i - 1 == self.skip else 0), outputs, published_start)
            for i, (width, outputs) in enumerate(zip(before, widths))]
        if last:
            linear = nn.Linear(widths[-1] if widths else inputs, last)
            layers.append(linear)
            if published_start:
                nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        self.net = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        start = x
        for i, layer in enumerate(self.net):
            x = layer(x)
            if i == self.skip:
                x = torch.cat((start, x), -1) / 2**0.5
        return x


class TextureEncoder(nn.Module):
    """The trunk of a ResNet-34; its first maps, all as large as the first of them."""

    def __init__(self, layers: int = 4, pretrained: bool = True, frozen_statistics: bool = False):
        super().__init__()
        from torchvision.models import resnet34
        self.layers, self.frozen_statistics = layers, frozen_statistics
        self.model = resnet34(weights=None)
        if pretrained:
            self.model.load_state_dict(load_weights(RESNET))
        del self.model.fc
        for unused in self._stages()[layers - 1:]:
            unused.requires_grad_(False)

    def train(self, mode: bool = True) -> "TextureEncoder":
        """As for every module; with `frozen_statistics`, batch normalisation never takes those of a picture."""
        return super().train(mode and not self.frozen_statistics)

    def _stages(self) -> list[nn.Module]:
        return [self.model.layer1, self.model.layer2, self.model.layer3, self.model.layer4]

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, S, S] in [0, 1] to [B, C, S / 2, S / 2]; C is that of `LAYER_WIDTHS`."""
        x = F.relu(self.model.bn1(self.model.conv1(images)))
        maps, size = [x], x.shape[-2:]
        if self.layers > 1:
            x = self.model.maxpool(x)
        for stage in self._stages()[:self.layers - 1]:
            x = stage(x)
            maps.append(F.interpolate(x, size=size, mode="bilinear", align_corners=True))
        return torch.cat(maps, 1)


def looked_up(image: Tensor, uv: Tensor) -> Tensor:
    """Values [N, C] of a texture [C, H, W] at uv [N, 2]: at pixel (u W, (1 - v) H), bilinearly; outside it is 0."""
    grid = torch.stack((2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]), -1)
    return F.grid_sample(image[None], grid[None, None], align_corners=False)[0, :, 0].T


class Encoder(nn.Module):
    """What the field is told of a sample: a code of its place on the skin, and where the canonical pose has it."""

    def __init__(self, opt: Namespace, vertices: int = 0):
        super().__init__()
        inputs = {entry.name: entry for text in (opt.inputs_to_density, opt.inputs_to_texture)
                  for entry in parse_inputs(text)}
        self.with_texture, self.texture_moves = not opt.disable_texture, opt.texture_to_deformation
        self.texture_width = 3 if not opt.use_texture_encoder else LAYER_WIDTHS[opt.texture_encoder_layers - 1]
        if opt.use_texture_encoder and self.with_texture:
            self.texture_encoder = TextureEncoder(opt.texture_encoder_layers,
                                                  pretrained=opt.is_train and not opt.no_pretrained,
                                                  frozen_statistics=getattr(opt, "freeze_batch_norm", False))
        if opt.predict_texture_mask:
            self.texture_mask = nn.Parameter(torch.full((MASK_SIDE, MASK_SIDE), 4.0))
        if "skin" in inputs:
            self.skin_codes = nn.Parameter(SKIN_START * torch.randn(vertices, inputs["skin"].dim))
        self.needs_code = "attnout" in inputs or opt.additional_deform == "pos"
        if not self.needs_code:
            return
        self.joint_filter = Encoding(opt.joint_filter_size, times_pi=False)
        width = opt.joint_feature_dim
        if opt.additional_deform == "pos":
            inputs = width + (self.texture_width if self.texture_moves else 0)
            self.skinning_deform = Layers(inputs, [width], last=3)
            for parameter in self.skinning_deform.net[-1].parameters():
                nn.init.zeros_(parameter)
        self.merge_joint_field = Layers(3 + 6 * opt.joint_filter_size, [width] * 4)

    def features(self, texture: Tensor) -> Tensor:
        """The map [C, S', S'] that is looked up at samples, of a texture [3, S, S] in [0, 1]."""
        if hasattr(self, "texture_mask"):
            if texture.shape[-2:] != self.texture_mask.shape:
                raise UserError(f"--predict_texture_mask: found a texture of {list(texture.shape[-2:])} pixels; the "
                                f"mask has {MASK_SIDE}x{MASK_SIDE}. Leave the option out")
            texture = texture * self.texture_mask.sigmoid()
        return self.texture_encoder(texture[None])[0] if hasattr(self, "texture_encoder") else texture

    def code(self, place: Tensor) -> Tensor:
        """`attnout` [N, C] of local coordinates [N, 3]."""
        return self.merge_joint_field(self.joint_filter(place))

    def residual(self, code: Tensor | None, texture: Tensor | None) -> Tensor | float:
        """What is added to canonical positions [N, 3]; 0 before training."""
        if code is None or not hasattr(self, "skinning_deform"):
            return 0.0
        if self.texture_moves:
            assert texture is not None  # --texture_to_deformation is refused without texture
            code = torch.cat((code, texture), -1)
        return self.skinning_deform(code)


class Background(nn.Module):
    """The colour behind the actor."""

    def __init__(self, colour: list[float], trained: bool):
        super().__init__()
        self.bg_color = nn.Parameter(torch.tensor(colour), requires_grad=trained)


class Density(nn.Module):
    """The density of a feature."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.hidden_layer = Layer(inputs, width, published_start=False)
        self.output_layer = nn.Linear(width, 1)
        nn.init.constant_(self.output_layer.bias, 0.5)

    def forward(self, feature: Tensor) -> Tensor:
        """[N, C] to [N]."""
        return self.output_layer(self.hidden_layer(feature))[:, 0]


class Field(nn.Module):
    """Density and colour of samples.

    Raises:
        UserError: an input specification does not fit.
    """

    def __init__(self, opt: Namespace, background: list[float]):
        super().__init__()
        self.density_inputs = parse_inputs(opt.inputs_to_density, "--inputs_to_density")
        self.colour_inputs = parse_inputs(opt.inputs_to_texture, "--inputs_to_texture")
        check_inputs(opt, self.density_inputs, self.colour_inputs)
        self.sigmoid = opt.min_color == 0
        plain = opt.nerf_style_mlp
        hidden, skip, colour_hidden = (8, 4, 1) if plain else \
            (opt.feature_layers + 2, opt.feature_field_skip_connect, opt.texture_layers + 1)
        self.bg_color = Background(background, not opt.background_stop_gradient)
        self.den_filters = self._filters(self.density_inputs, not opt.pe_no_mul_pi)
        self.tex_filters = self._filters(self.colour_inputs, not opt.pe_no_mul_pi)
        feature = self.colour_inputs[0].dim
        self.feature_field = Layers(sum(entry.width for entry in self.density_inputs),
                                    [opt.feature_embed_dim] * (hidden - 1) + [feature], skip=skip,
                                    published_start=not plain)
        self.predictor = Density(feature, opt.density_embed_dim)
        self.with_body, self.with_texture = opt.begin_with_body, opt.begin_with_texture
        if opt.begin_with_body:
            for parameter in self.predictor.output_layer.parameters():
                nn.init.zeros_(parameter)
        self.renderer = Layers(sum(entry.width for entry in self.colour_inputs),
                               [opt.texture_embed_dim] * colour_hidden, last=3, published_start=not plain)
        if opt.begin_with_texture:
            for parameter in self.renderer.net[-1].parameters():
                nn.init.zeros_(parameter)

    @staticmethod
    def _filters(inputs: list[Input], times_pi: bool) -> nn.ModuleDict:
        return nn.ModuleDict({entry.name: Encoding(entry.octaves, entry.kind, times_pi)
                              for entry in inputs if entry.octaves})

    @staticmethod
    def _encoded(inputs: list[Input], filters: nn.ModuleDict, values: dict[str, Tensor]) -> Tensor:
        return torch.cat([filters[entry.name](values[entry.name]) if entry.octaves else values[entry.name]
                          for entry in inputs], -1)

    def feature(self, values: dict[str, Tensor]) -> Tensor:
        """The feature [N, C] that density and colour are made of, from inputs [N, D] by name."""
        return self.feature_field(self._encoded(self.density_inputs, self.den_filters, values))

    def forward(self, values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Raw density [N] and colour [N, 3], from inputs [N, D] by name; `values` stays as it is."""
        feature = self.feature(values)
        colour = self.renderer(self._encoded(self.colour_inputs, self.tex_filters, {**values, "feat": feature}))
        if self.with_texture:
            start = values["colour"]
            colour = colour + (start.clamp(0.002, 0.998).logit() if self.sigmoid else start)
        return self.density(feature, values), colour.sigmoid() if self.sigmoid else colour

    def density(self, feature: Tensor, values: dict[str, Tensor]) -> Tensor:
        """Raw density [N] of a feature; with --begin_with_body that of the body, and what is learned besides."""
        found = self.predictor(feature)
        if not self.with_body:
            return found
        under = SURFACE_START - values["metres"] / SURFACE_SCALE
        return DENSITY_SCALE * F.softplus(found + under)


def names_of_inputs(opt: Namespace) -> set[str]:
    """All that densities and colours are made of."""
    names = {entry.name for entry in parse_inputs(f"{opt.inputs_to_density},{opt.inputs_to_texture}")}
    return names | ({"colour"} if opt.begin_with_texture else set()) | ({"metres"} if opt.begin_with_body else set())


def check_inputs(opt: Namespace, density: list[Input], colour: list[Input]) -> None:
    """See that the input specifications name what there is, in its width.

    Raises:
        UserError: they do not.
    """
    texture = 3 if not opt.use_texture_encoder else LAYER_WIDTHS[opt.texture_encoder_layers - 1]
    widths = {"pos": 3, "ray": 3, "attnout": opt.joint_feature_dim, "texture": texture, "height": 1, "colour": 3}
    widths |= {entry.name: entry.dim for entry in (*density, *colour) if entry.name == "skin"}
    if colour[0].name != "feat":
        raise UserError(f"--inputs_to_texture: begins with '{colour[0].name}'; expected feat:0:N, the feature that "
                        "densities are made of")
    for option, inputs in (("--inputs_to_density", density), ("--inputs_to_texture", colour[1:])):
        for entry in inputs:
            if entry.name not in widths:
                raise UserError(f"{option}: found '{entry.name}'; expected one of {', '.join(KNOWN_INPUTS)}")
            if entry.name in ("texture", "colour") and opt.disable_texture:
                raise UserError(f"{option}: names {entry.name}, which --disable_texture takes away; leave out one of "
                                "them")
            if entry.dim != widths[entry.name]:
                raise UserError(f"{option}: {entry.name} has a width of {entry.dim}; with these options it is "
                                f"{widths[entry.name]}: {entry.name}:{entry.octaves}:{widths[entry.name]}")
    if opt.disable_texture and opt.texture_to_deformation:
        raise UserError("--texture_to_deformation: there is no texture with --disable_texture; leave out one of them")
    if opt.disable_texture and opt.begin_with_texture:
        raise UserError("--begin_with_texture: there is no texture with --disable_texture; leave out one of them")
    if opt.hierarchical_sampling and opt.skin_depth:
        raise UserError("--skin_depth: leaves pieces of rays that do not touch, which --hierarchical_sampling cannot "
                        "cut again; leave out one of them")


def background_colour(text: str, min_color: int) -> list[float]:
    """Three numbers from "r,g,b" or "grey" in [0, 1], in the range of the images.

    Args:
        text: the colour.
        min_color: -1: images are in [-1, 1]; 0: in [0, 1].

    Raises:
        UserError: it is no such colour.
    """
    try:
        values = [float(word) for word in text.split(",")]
        if len(values) not in (1, 3) or not all(0 <= value <= 1 for value in values):
            raise ValueError
    except ValueError:
        raise UserError(f"--transparent_background: found '{text}'; expected a grey such as 1.0, or a colour such as "
                        "1.0,1.0,1.0, in [0, 1]") from None
    values = values * 3 if len(values) == 1 else values
    return [value if min_color == 0 else 2 * value - 1 for value in values]


MESH_BUFFERS = {f"encoder.{name}" for name in ("face_uv", "weights", "vertices", "faces")}


def from_published(state: dict) -> dict[str, Tensor]:
    """Weights of a released checkpoint for an `Actor`: what it holds of the mesh is left out, as files have it."""
    weights = state.get("model", state)
    return {name: tensor for name, tensor in weights.items() if name not in MESH_BUFFERS}


def read_published(path: Path) -> tuple[dict[str, Tensor], Namespace]:
    """Weights for an `Actor` from a released checkpoint, and the arguments of its training.

    Raises:
        UserError: it cannot be read.
    """
    torch.serialization.add_safe_globals([Namespace])  # a mere holder of values; torch 2.4 can only add for good
    state = read_checkpoint(path, "give a checkpoint of Neural Actor's renderer, nerf_NAME.pt")
    if not isinstance(state.get("model"), dict):
        raise UserError(f"{path}: holds no weights under 'model'; expected a checkpoint of Neural Actor's renderer, "
                        "nerf_NAME.pt")
    return from_published(state), state.get("args") or Namespace()
