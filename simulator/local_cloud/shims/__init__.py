"""What MiniStack lacks for Roadside, one file a shim.

Each module declares `HOOKS` (the private names it leans on, checked by `guard`) and `install()`, which replaces module
attributes of `ministack`. Importing a shim changes nothing and needs no MiniStack.
"""
