namespace LowRank.EndToEndTests;

/// <summary>What a command is told to write, onto what it reads, and elsewhere than into a new file.</summary>
public sealed class OutputCommandTests : IDisposable
{
    private const string Rows = """
        {"prompt": "ab", "completion": "c"}

        """;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_command_never_writes_onto_its_inputs()
    {
        using var model = new TinyModel();
        File.WriteAllText(folder["rows.jsonl"], Rows);
        string weights = Directory.GetFiles(model.Folder, "*.safetensors")[0];
        byte[] before = File.ReadAllBytes(weights);
        Refused("predict", "--model", model.Folder, "--data", folder["rows.jsonl"], "--output", folder["rows.jsonl"]);
        Refused("eval", "--model", model.Folder, "--data", folder["rows.jsonl"], "--generate", "--output", weights);
        Assert.Equal(Rows, File.ReadAllText(folder["rows.jsonl"]));
        Assert.Equal(before, File.ReadAllBytes(weights));
    }

    [Fact]
    public void Answers_go_through_a_link_into_a_file_that_keeps_its_mode()
    {
        if (OperatingSystem.IsWindows()) return;
        using var model = new TinyModel();
        File.WriteAllText(folder["rows.jsonl"], Rows);
        File.WriteAllText(folder["there.jsonl"], "");
        File.SetUnixFileMode(folder["there.jsonl"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.CreateSymbolicLink(folder["answers.jsonl"], folder["there.jsonl"]);
        CommandLine.Run("predict", "--model", model.Folder, "--data", folder["rows.jsonl"], "--max-new-tokens", "2",
            "--output", folder["answers.jsonl"]).Succeeded();
        Assert.Single(File.ReadAllLines(folder["there.jsonl"]));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(folder["there.jsonl"]));
    }

    private static void Refused(params string[] arguments)
    {
        CommandResult refused = CommandLine.Run(arguments);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("that is read: writing it would destroy it", refused.Error, StringComparison.Ordinal);
    }
}
