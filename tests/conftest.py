"""What every test starts from."""

import os

# Threads that wait for each other busily take the cores from ffmpegs and other test runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
