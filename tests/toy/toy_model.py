"""A small adversarial clip generator: what the core must be able to train without knowing it."""

import torch
from torch import nn

from models.base_model import BaseModel, Export


class ToyModel(BaseModel):
    """Two networks, two optimisers, several gradient steps per batch, clips [B, T, C, H, W] and no key `image`."""

    captions = {"clip": "First frame of the clip that was made."}

    def __init__(self, opt):
        super().__init__(opt)
        self.generator = nn.Conv3d(3, 3, 3, padding=1).to(self.device)
        self.critic = nn.Sequential(nn.Conv3d(3, opt.num_filters, 3), nn.BatchNorm3d(opt.num_filters), nn.ReLU(),
                                    nn.Conv3d(opt.num_filters, 1, 1)).to(self.device)
        self.networks = {"G": self.generator, "D": self.critic}
        self.steps = 0

    @staticmethod
    def add_options(parser, is_train):
        parser.add_argument("--num_filters", type=int, default=64)
        if is_train:
            parser.add_argument("--critic_steps", type=int, default=2, help="gradient steps of the critic per batch")

    def make_optimizers(self, phase):
        self.make, self.judge = self.parallel(self.generator), self.parallel(self.critic)
        return {"G": torch.optim.Adam(self.generator.parameters(), lr=phase.opt.lr),
                "D": torch.optim.SGD(self.critic.parameters(), lr=phase.opt.lr)}

    def optimize_parameters(self, batch):
        real = self.to_device(batch)["clip"].transpose(1, 2)
        for _ in range(self.opt.critic_steps):
            made = self.make(self.randn_per_item(*real.shape)).detach()
            loss_d = self.judge(made).mean() - self.judge(real).mean()
            self.optimizers["D"].zero_grad()
            loss_d.backward()
            self.optimizers["D"].step()
        loss_g = -self.judge(self.make(self.randn_per_item(*real.shape))).mean()
        self.optimizers["G"].zero_grad()
        loss_g.backward()
        self.optimizers["G"].step()
        self.steps += 1
        return {"critic": loss_d.detach(), "generator": loss_g.detach(), "total": loss_g.detach()}

    @torch.no_grad()
    def visuals(self, batch):
        return {"clip": self.generator(batch["clip"].transpose(1, 2))[0, :, 0].tanh()}

    @torch.no_grad()
    def export(self, batch):
        frames = self.generator(batch["clip"].transpose(1, 2)).tanh()
        return Export(images={"first": frames[:, :, 0]}, video_frames={"second": frames[:, :, 1]})

    def extra_state(self):
        return {"steps": self.steps}

    def load_extra_state(self, state):
        self.steps = state["steps"]
