"""kazoo against the server under test."""
import logging

import basics
import peer
import recipes

logging.basicConfig(level=logging.ERROR)
basics.run()
recipes.run()
peer.finish()
