using LowRank.Cli;

return CommandLineApplication.Run(args);
