using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace LowRank.Testing;

/// <summary>Runs tests of the calling assembly in a process of their own, with an environment of their own.</summary>
public static partial class TestProcess
{
    /// <summary>Fails with the process's output if a test there fails. The tests take no turns: they run within the
    /// caller's.</summary>
    /// <param name="filters">xunit's filters, such as <c>-class</c> and a name.</param>
    /// <param name="environment">Variables that are added to this process's.</param>
    /// <returns>The number of tests that ran, without those that were skipped.</returns>
    public static async Task<int> Run(IEnumerable<string> filters, IReadOnlyDictionary<string, string> environment)
    {
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        var start = new ProcessStartInfo(Environment.ProcessPath!, [.. filters, "-noLogo", "-noColor"])
        {
            UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        start.Environment[TakesTurnAttribute.Taken] = "1";
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancellation),
                errors = process.StandardError.ReadToEndAsync(cancellation);
            string text = await output + await errors;
            await process.WaitForExitAsync(cancellation);
            Match summary = Summary().Match(text);
            Assert.True(process.ExitCode == 0 && summary.Success, text);
            int Number(string group) => int.Parse(summary.Groups[group].Value, CultureInfo.InvariantCulture);
            return Number("total") - Number("skipped");
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
    }

    [GeneratedRegex(
        "Total: (?<total>[0-9]+), Errors: 0, Failed: 0, Skipped: (?<skipped>[0-9]+)",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex Summary();
}
