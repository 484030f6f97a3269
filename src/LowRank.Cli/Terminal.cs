using System.Runtime.InteropServices;

namespace LowRank.Cli;

/// <summary>The terminal in which a run was started and which may be closed.</summary>
internal static class Terminal
{
    private const int Hangup = 1, WriteOnly = 1, Ignored = 1; // SIGHUP, O_WRONLY, SIG_IGN: the same on Linux and macOS

    /// <summary>Whether the process ignores SIGHUP, as nohup arranges, and goes on when its terminal is
    /// closed.</summary>
    public static bool IgnoresHangup()
    {
        if (OperatingSystem.IsWindows()) return false;
        var action = new byte[256]; // struct sigaction, which begins with the handler; its size differs
        return AskAction(Hangup, 0, action) == 0 && BitConverter.ToInt64(action) == Ignored;
    }

    /// <summary>Discards output to the terminal. Writing to a closed terminal fails, and that must not end a run that
    /// is being saved.</summary>
    public static void LetGo()
    {
        if (OperatingSystem.IsWindows()) return;
        int nowhere = Open("/dev/null", WriteOnly);
        if (nowhere < 0) return;
        if (!Console.IsOutputRedirected) _ = Duplicate(nowhere, 1);
        if (!Console.IsErrorRedirected) _ = Duplicate(nowhere, 2);
        _ = Close(nowhere);
    }

    [DllImport("libc", EntryPoint = "sigaction")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int AskAction(int signal, nint change, [Out] byte[] action);

    [DllImport("libc", EntryPoint = "open", CharSet = CharSet.Ansi, BestFitMapping = false,
        ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "dup2")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Duplicate(int from, int to);

    [DllImport("libc", EntryPoint = "close")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Close(int descriptor);
}
