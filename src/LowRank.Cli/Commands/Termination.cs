using System.ComponentModel;
using System.Runtime.InteropServices;

namespace LowRank.Cli.Commands;

/// <summary>Asks processes to end, as SIGTERM does: .NET itself cannot send it.</summary>
internal static class Termination
{
    private const int Terminate = 15, NoSuchProcess = 3; // signal(7), errno(3): the same on Linux and macOS

    /// <summary>Sends SIGTERM. A process that has ended already is left alone.</summary>
    /// <param name="process">Its number; Windows has no such signal.</param>
    public static void Ask(int process)
    {
        if (Send(process, Terminate) == 0 || Marshal.GetLastPInvokeError() is var error && error == NoSuchProcess) return;
        throw new Win32Exception(error, $"The process {process} could not be asked to end: {Marshal.GetPInvokeErrorMessage(error)}.");
    }

    /// <summary>From now on asks this process itself to end once its standard input has come to its end: whoever holds the other one is gone, however it ended.</summary>
    public static void AskAtEndOfInput() => new Thread(Watch) { IsBackground = true, Name = "end of input" }.Start();

    private static void Watch()
    {
        using Stream input = Console.OpenStandardInput();
        var read = new byte[256];
        while (input.Read(read) > 0)
        {
            // What is said there is not meant for a run.
        }
        if (OperatingSystem.IsWindows()) Environment.Exit(ExitCodes.Terminated);
        Ask(Environment.ProcessId);
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Send(int process, int signal);
}
