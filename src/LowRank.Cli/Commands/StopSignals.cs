using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using LowRank.Cli.Common;

namespace LowRank.Cli.Commands;

/// <summary>SIGINT, SIGTERM and SIGHUP while a run goes on: the first one asks it to finish its step and save, the
/// second one ends the process.</summary>
internal sealed class StopSignals : IDisposable
{
    private static readonly TimeSpan OneRequest = TimeSpan.FromSeconds(1);
    private readonly CancellationTokenSource stop = new();
    private readonly PosixSignalRegistration[] registrations;
    private long heard; // when the first one came
    private int received; // the first signal's number in .NET's own counting, which has no 0

    /// <summary>Listens from now on.</summary>
    public StopSignals() => registrations = [.. Heard().Select(signal => PosixSignalRegistration.Create(signal, Hear))];

    /// <summary>Is cancelled by the first signal.</summary>
    public CancellationToken Token => stop.Token;

    /// <summary>The first signal; null when there was none.</summary>
    public PosixSignal? Received => received == 0 ? null : (PosixSignal)received;

    /// <summary>Gives the signals back to the system.</summary>
    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in registrations) registration.Dispose();
        stop.Dispose();
    }

    // Who starts a run with nohup wants it to go on when the terminal is closed.
    private static IEnumerable<PosixSignal> Heard() => Terminal.IgnoresHangup()
        ? [PosixSignal.SIGINT, PosixSignal.SIGTERM] : [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP];

    private void Hear(PosixSignalContext context)
    {
        if (context.Signal == PosixSignal.SIGHUP) Terminal.LetGo();
        Interlocked.CompareExchange(ref heard, Stopwatch.GetTimestamp(), 0);
        if (Interlocked.CompareExchange(ref received, (int)context.Signal, 0) is var first and not 0)
        {
            // A terminal and a supervisor such as `lowrank sweep` may both pass one request on, each in its own way.
            // Any other second one is left to the system, which ends the process by it.
            context.Cancel = first != (int)context.Signal
                && Stopwatch.GetElapsedTime(Interlocked.Read(ref heard)) < OneRequest;
            return;
        }
        context.Cancel = true;
        Console.Error.WriteLine($"{context.Signal}: the step is finished and the run saved; once more stops at once.");
        stop.Cancel();
    }
}

/// <summary>Asks processes to end, as SIGTERM does: .NET itself cannot send it.</summary>
internal static class Termination
{
    private const int Terminate = 15, NoSuchProcess = 3; // signal(7), errno(3): the same on Linux and macOS

    /// <summary>Sends SIGTERM. A process that has ended already is left alone.</summary>
    /// <param name="process">Its number; Windows has no such signal.</param>
    public static void Ask(int process)
    {
        if (Send(process, Terminate) == 0 || Marshal.GetLastPInvokeError() is var error && error == NoSuchProcess)
            return;
        throw new Win32Exception(
            error, $"The process {process} could not be asked to end: {Marshal.GetPInvokeErrorMessage(error)}.");
    }

    /// <summary>From now on asks this process itself to end once its standard input has come to its end: whoever holds
    /// the other one is gone, however it ended.</summary>
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
