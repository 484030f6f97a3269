namespace LowRank.Testing;

/// <summary>What a process left.</summary>
public sealed record CommandResult(int ExitCode, string Output, string Error)
{
    /// <summary>This result, after asserting that the process succeeded.</summary>
    public CommandResult Succeeded()
    {
        Assert.True(ExitCode == 0, $"exit code {ExitCode}\n{Output}\n{Error}");
        return this;
    }
}
