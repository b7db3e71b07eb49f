"""`python -m reliefseg`, for launchers that take a module: `torchrun --nproc-per-node 4 -m reliefseg train …`."""

from reliefseg.cli import main

main()
