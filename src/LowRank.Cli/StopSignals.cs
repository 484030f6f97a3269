using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using LowRank.Cli.Common;

namespace LowRank.Cli;

/// <summary>Handles SIGINT, SIGTERM and SIGHUP during a run: the first signal asks the run to finish its step and save,
/// the second ends the process.</summary>
internal sealed class StopSignals : IDisposable
{
    private static readonly TimeSpan OneRequest = TimeSpan.FromSeconds(1);
    private readonly CancellationTokenSource stop = new();
    private readonly PosixSignalRegistration[] registrations;
    private readonly string promise;
    private long heard; // when the first one came
    private int received; // the first signal's number in .NET's own numbering, which has no 0

    /// <summary>Starts listening.</summary>
    /// <param name="promise">What the first signal sets off, in words.</param>
    public StopSignals(string promise = "finishing the step and saving the run")
    {
        this.promise = promise;
        registrations = [.. Heard().Select(signal => PosixSignalRegistration.Create(signal, Hear))];
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => stop.Token;

    /// <summary>The first signal; null when there was none.</summary>
    public PosixSignal? Received => received == 0 ? null : (PosixSignal)received;

    /// <summary>Stops handling the signals.</summary>
    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in registrations) registration.Dispose();
        stop.Dispose();
    }

    // A run started with nohup goes on when the terminal is closed.
    private static IEnumerable<PosixSignal> Heard() => Terminal.IgnoresHangup()
        ? [PosixSignal.SIGINT, PosixSignal.SIGTERM] : [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP];

    private void Hear(PosixSignalContext context)
    {
        if (context.Signal == PosixSignal.SIGHUP) Terminal.LetGo();
        Interlocked.CompareExchange(ref heard, Stopwatch.GetTimestamp(), 0);
        if (Interlocked.CompareExchange(ref received, (int)context.Signal, 0) is var first and not 0)
        {
            // A terminal and a supervisor such as `lowrank sweep` may both forward the same request, each with its own
            // signal. Any other second signal is left to the system, which ends the process.
            context.Cancel = first != (int)context.Signal
                && Stopwatch.GetElapsedTime(Interlocked.Read(ref heard)) < OneRequest;
            return;
        }
        context.Cancel = true;
        Console.Error.WriteLine($"{context.Signal}: {promise}; repeat to stop at once.");
        stop.Cancel();
    }
}

/// <summary>Sends SIGTERM, which .NET itself cannot do.</summary>
internal static class Termination
{
    private const int Terminate = 15, NoSuchProcess = 3; // signal(7), errno(3): the same on Linux and macOS

    /// <summary>Sends SIGTERM; ignores a process that has already ended.</summary>
    /// <param name="process">The process id. Not supported on Windows, which has no such signal.</param>
    public static void Ask(int process)
    {
        if (Send(process, Terminate) == 0 || Marshal.GetLastPInvokeError() is var error && error == NoSuchProcess)
            return;
        throw new Win32Exception(
            error, $"Process {process} could not be asked to end: {Marshal.GetPInvokeErrorMessage(error)}.");
    }

    /// <summary>Asks this process to end once its standard input ends, because the process at the other end is then
    /// gone.</summary>
    public static void AskAtEndOfInput() => new Thread(Watch) { IsBackground = true, Name = "end of input" }.Start();

    private static void Watch()
    {
        using Stream input = Console.OpenStandardInput();
        var read = new byte[256];
        while (input.Read(read) > 0)
        {
            // The text on standard input is not meant for the run.
        }
        if (OperatingSystem.IsWindows()) Environment.Exit(ExitCodes.Terminated);
        Ask(Environment.ProcessId);
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Send(int process, int signal);
}
