"""What transformers' video processors call of torchvision, over torch's own kernels.

torchvision resizes 8-bit pictures by the same torch call; the rest here is plain arithmetic. Used while
fixtures are made, so that the processors' own classes run where no torchvision fits the torch at hand.
"""
__version__ = "0.28.0"
