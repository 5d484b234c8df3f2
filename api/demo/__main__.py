"""`python -m api.demo`."""

from api.demo import main

main()
