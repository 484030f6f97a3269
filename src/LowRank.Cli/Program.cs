using LowRank.Cli;
using LowRank.Cli.Views;
using LowRank.Tensors.Native;

NativeAllocator.KeepFreedMemory();
Screen.Open();
return CommandLineApplication.Run(args);
