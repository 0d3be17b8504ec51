from adg_pipeline.cli.main import main

main()
