"""minigan: a GAN library written from scratch, to be read line by line and run at speed."""

__version__ = "0.1.0"
