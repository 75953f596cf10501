"""`python -m ollama_keeper`: the same as the command `ollama-keeper`."""

from ollama_keeper.cli import main

if __name__ == "__main__":
    main()
