"""Training of video-to-video synthesis computed as it was published, plainly: what speed is measured against.

For the frames and again for the hallucinated frames, every discriminator sees the real ones, those that were made
without gradient, and the same with gradient; the generators' backward pass computes gradients of discriminators too,
which are thrown away; both sides of every perceptual loss pass through VGG; heads compute one after the other, channels
that are 0 everywhere too, in the memory layout and with the optimiser that torch chooses, in 32-bit floats. The numbers
are those of `Vid2VidModel`, whose networks it takes; it is not there to be used.
"""

import torch
from torch import Tensor, nn

from models.base_model import Phase
from models.gan_losses import feature_matching, verdict_loss
from models.vid2vid_blocks import MapConv2d
from models.vid2vid_generation import Load
from models.vid2vid_model import Vid2VidModel
from models.vid2vid_networks import Frame
from vision.geometry.warp import warp


class PublishedVid2Vid(Vid2VidModel):
    """Trains with the published computation."""

    def make_optimizers(self, phase: Phase) -> dict[str, torch.optim.Optimizer]:
        """Adam as it was published."""
        made = super().make_optimizers(phase)
        for generator in self.frames.generators:
            generator.compose = compose.__get__(generator)
        for module in (module for network in self.networks.values() for module in network.modules()):
            if isinstance(module, MapConv2d):
                module.forward = nn.Conv2d.forward.__get__(module)
        return {name: torch.optim.Adam(one.param_groups[0]["params"], lr=one.defaults["lr"],
                                       betas=one.defaults["betas"]) for name, one in made.items()}

    def placed(self, network: nn.Module) -> nn.Module:
        """As torch lays weights out."""
        return network.to(self.device)

    def judged(self, name: str, real: Tensor, *made: Tensor) -> list[Tensor]:
        """Three passes for each kind of what was made."""
        judge, mode, sums = self.networks[name], self.opt.gan_mode, [real.new_zeros(()) for _ in range(4)]
        for images in made:
            of_real, of_made, for_generator = judge(real), judge(images.detach()), judge(images)
            sums[0] = sums[0] + verdict_loss(for_generator, True, mode, for_generator=True)
            if not self.opt.no_ganFeat:
                sums[1] = sums[1] + self.opt.lambda_feat * feature_matching(for_generator, of_real, self.opt.num_D,
                                                                            self.opt.n_layers_D)
            sums[2] = sums[2] + verdict_loss(of_real, True, mode)
            sums[3] = sums[3] + verdict_loss(of_made, False, mode)
        return sums

    def image_losses(self, maps: Tensor, target: Tensor, load: Load) -> dict[str, Tensor]:
        """Of frames and hallucinated frames, also where these are the same."""
        pairs = [torch.cat([maps, images], 2).flatten(0, 1) for images in (target, load.images, load.raw)]
        return dict(zip(("G_GAN", "G_GAN_Feat", "D_real", "D_fake"), self.judged("D", *pairs)))

    def perceptual(self, target: Tensor, *made: Tensor, counted: int = 1) -> Tensor:
        """One pair after the other."""
        pairs = [super(PublishedVid2Vid, self).perceptual(target, images) for images in counted * made]
        return torch.stack(pairs).sum()

    def gradient_step(self, loss: Tensor, *names: str, keep_graph: bool = False) -> None:
        """All gradients that there are."""
        for name in names:
            self.optimizers[name].zero_grad()
        loss.backward()
        for name in names:
            self.optimizers[name].step()


def compose(self, img_feat, flow_feat, fg_feat, previous, mask, use_raw_only) -> Frame:
    """A generator's heads, one after the other."""
    raw = image = self.model_final_img(img_feat)
    flow = weight = None
    if self.has_flow:
        flow, weight = self.model_final_flow(flow_feat) * self.flow_scale, self.model_final_w(flow_feat)
        if not use_raw_only:
            image = weight * raw + (1 - weight) * warp(previous[:, -3:], flow)
    if self.fg:
        fg = self.indv_final(fg_feat)
        image, raw = mask * fg + (1 - mask) * image, mask * fg + (1 - mask) * raw
    return Frame(image, flow, weight, raw, img_feat, flow_feat, fg_feat)
