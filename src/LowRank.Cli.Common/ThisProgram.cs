using System.Diagnostics;
using System.Reflection;

namespace LowRank.Cli.Common;

/// <summary>Runs this program again in its own process.</summary>
public static class ThisProgram
{
    /// <summary>How to start it, with its output redirected.</summary>
    /// <param name="arguments">The arguments of the command line.</param>
    /// <exception cref="InvalidOperationException">The path of this program is unknown.</exception>
    public static ProcessStartInfo Start(params IEnumerable<string> arguments)
    {
        string program = Environment.ProcessPath
            ?? throw new InvalidOperationException("The path of this program is unknown.");
        string[] assembly = Path.GetFileNameWithoutExtension(program) == "dotnet"
            ? [Assembly.GetEntryAssembly()!.Location] : [];
        return new ProcessStartInfo(program, [.. assembly, .. arguments])
        {
            RedirectStandardOutput = true, UseShellExecute = false,
        };
    }
}
