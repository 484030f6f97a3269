using LowRank.Cli;
using LowRank.Cli.Common;
using LowRank.Kernels.Native;

bool isVerbose = args.Contains(GlobalOptions.Verbose.Name);
// Nothing else catches an exception on a background thread; it gets a readable message too.
AppDomain.CurrentDomain.UnhandledException += (_, unhandled) =>
    Environment.Exit(
        FailureMessage.Report(
            unhandled.ExceptionObject as Exception ?? new InvalidOperationException($"{unhandled.ExceptionObject}"),
            isVerbose, Console.Error));
NativeAllocator.KeepFreedMemory();
try
{
    Screen.Open();
    return CommandLineApplication.Run(args);
}
catch (Exception e)
{
    return FailureMessage.Report(e, isVerbose, Console.Error);
}
