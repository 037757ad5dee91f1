"""All settings are in setup.cfg; this file lets old tools find them."""
from setuptools import setup

setup()
