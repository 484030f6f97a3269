using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.IO;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.Tests;

public sealed class LfsPointerTests
{
    private const string Pointer =
        "version https://git-lfs.github.com/spec/v1\noid " +
        "sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

    public static TheoryData<string> Names =>
        ["model.safetensors", "pytorch_model.bin", "adapter_config.json", "config.json", "tokenizer.json",
            "tokenizer.model", "vocab.txt", "rows.jsonl", "rows.csv", "rows.txt", "rows.parquet", "rows.jsonl.gz"];

    [Theory, MemberData(nameof(Names))]
    public void A_pointer_in_the_place_of_a_file_is_called_one(string name)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder[name], Pointer);
        string message = name.StartsWith("rows", StringComparison.Ordinal) ? Rows(folder[name])
            : Assert.Throws<InputException>(() => Open(folder, name)).Message;
        Assert.Contains($"{folder[name]} is a Git LFS pointer, not the file of 12345 bytes that it stands for", message,
            StringComparison.Ordinal);
        Assert.Contains("git lfs pull", message, StringComparison.Ordinal);
    }

    private static string Rows(string path)
    {
        var problems = new DataProblems();
        using Stream? stream = RowFiles.Open(path, streamed: true, problems);
        Assert.Null(stream);
        return Assert.Single(problems.Shown).ToString();
    }

    private static void Open(TemporaryFolder folder, string name)
    {
        switch (name)
        {
            case "config.json": _ = ConfigReader.Open(folder[name]); break;
            case "adapter_config.json": _ = AdapterConfig.Load(folder.Path); break;
            case "tokenizer.json" or "tokenizer.model": _ = Tokenizer.Load(folder[name]); break;
            case "vocab.txt":
                File.WriteAllText(folder["tokenizer_config.json"], """{"tokenizer_class": "BertTokenizer"}""");
                _ = Tokenizer.Load(folder.Path);
                break;
            default: SafeTensorsFile.OpenAny(folder[name]).Dispose(); break;
        }
    }

    [Fact]
    public void A_missing_library_is_told_from_a_missing_file()
    {
        Assert.Equal("Parquet",
            AssemblyFailure.Name(
                new FileNotFoundException(
                    "Could not load file or assembly.",
                    "Parquet, Version=5.0.0.0, Culture=neutral, PublicKeyToken=null")));
        Assert.Equal("Parquet",
            AssemblyFailure.Name(
                new TypeInitializationException("X", new FileLoadException("…", "Parquet, Version=5.0.0.0"))));
        Assert.Null(
            AssemblyFailure.Name(new FileNotFoundException("There is no such file.", "/data/rows, Version 2.jsonl")));
        Assert.Null(AssemblyFailure.Name(new IOException("disk full")));
    }
}
