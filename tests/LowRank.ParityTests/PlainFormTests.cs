using System.Diagnostics;
using LowRank.Kernels;

namespace LowRank.ParityTests;

/// <summary>Runs the reference cases with the plain form of every operation, in a process of their own.</summary>
public sealed class PlainFormTests
{
    private static readonly Type[] Cases =
        [typeof(DecoderParityTests), typeof(AdapterParityTests), typeof(NetworkParityTests), typeof(MethodParityTests),
        typeof(TaskParityTests), typeof(QuantizationCaseTests), typeof(VocabularyCaseTests), typeof(PackingTests),
        typeof(SentenceParityTests)];

    [Fact]
    public async Task The_reference_cases_hold_in_the_plain_form()
    {
        string[] filters = [.. Cases.SelectMany(type => new[] { "-class", type.FullName! })];
        var start = new ProcessStartInfo(Environment.ProcessPath!, [.. filters, "-noLogo", "-noColor"])
        {
            UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        start.Environment[KernelForm.Variable] = "plain";
        using Process process = Process.Start(start)!;
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        Task<string> output = process.StandardOutput.ReadToEndAsync(cancellation),
            errors = process.StandardError.ReadToEndAsync(cancellation);
        string text = await output + await errors;
        await process.WaitForExitAsync(cancellation);
        Assert.True(process.ExitCode == 0 && text.Contains("Failed: 0", StringComparison.Ordinal), text);
    }
}
