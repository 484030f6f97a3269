using LowRank.Cli;
using LowRank.Tensors.Native;

NativeAllocator.KeepFreedMemory();
return CommandLineApplication.Run(args);
