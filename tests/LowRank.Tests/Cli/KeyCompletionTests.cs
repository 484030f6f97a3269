using System.CommandLine;
using LowRank.Cli;
using LowRank.Cli.Common;

namespace LowRank.Tests.Cli;

/// <summary>A shell completes the keys of recipes where an option takes one.</summary>
public sealed class KeyCompletionTests
{
    [Theory]
    [InlineData("train", "--set")]
    [InlineData("estimate", "--set")]
    [InlineData("validate", "--set")]
    [InlineData("data", "--set")]
    [InlineData("sweep", "--set")]
    [InlineData("sweep", "--grid")]
    public void Options_that_take_a_key_complete_it(string command, string option)
    {
        var root = new RootCommand();
        foreach (ICliCommand known in CommandLineApplication.Commands()) root.Add(known.Build());
        string[] Complete(string word) =>
            [.. root.Parse([command, "r.yaml", option, word]).GetCompletions().Select(item => item.Label)];
        Assert.Contains("training.eval_every=", Complete("training.ev"));
        Assert.DoesNotContain("adapter.rank=", Complete("training.ev"));
        Assert.Contains("adapter.rank=", Complete("adapter.r"));
    }
}
