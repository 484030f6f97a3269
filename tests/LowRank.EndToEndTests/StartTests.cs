namespace LowRank.EndToEndTests;

/// <summary>What a command loads before it does its work.</summary>
public sealed class StartTests
{
    [Theory]
    [InlineData("--help")]
    [InlineData("--version")]
    [InlineData("train", "--help")]
    [InlineData("schema")]
    [InlineData("train", "--bogus")]
    [InlineData("runs", "no-such-folder")]
    public void What_computes_nothing_loads_no_torch(params string[] arguments)
    {
        string[] loaded = Loaded(arguments);
        Assert.Contains("LowRank", loaded);
        Assert.DoesNotContain(loaded, IsTorch);
        foreach (string assembly in (string[])["TorchSharp", "Parquet", "OxyPlot", "Microsoft.Data.Sqlite"])
            Assert.DoesNotContain(assembly, loaded);
    }

    [Fact]
    public void What_computes_loads_torch()
    {
        string[] loaded = Loaded("generate", "--model", "embedded", "--prompt", "otter", "--max-new-tokens", "1");
        Assert.Contains(loaded, IsTorch);
        Assert.Contains("TorchSharp", loaded);
    }

    private static bool IsTorch(string name) => name.Contains("torch_cpu", StringComparison.Ordinal);

    private static string[] Loaded(params string[] arguments)
    {
        using var folder = new TemporaryFolder();
        CommandLine.RunWith(new Dictionary<string, string>
        {
            ["DOTNET_STARTUP_HOOKS"] = typeof(StartupHook).Assembly.Location,
            [StartupHook.Variable] = folder["loaded"],
        }, arguments);
        return File.ReadAllLines(folder["loaded"]);
    }
}
