"""What README's sample asks of diffusers, for machines without a GPU: a red picture."""

from PIL import Image


class _Pipeline:
    def to(self, device):
        return self

    def __call__(self, prompt):
        self.images = [Image.new("RGB", (64, 64), "red")]
        return self


class StableDiffusionXLPipeline:
    @staticmethod
    def from_pretrained(_name):
        return _Pipeline()
