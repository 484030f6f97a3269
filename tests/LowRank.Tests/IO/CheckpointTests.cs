using LowRank.IO;
using TorchSharp;

namespace LowRank.Tests.IO;

public sealed class CheckpointTests
{
    [Fact]
    public void Small_weights_go_into_one_file_and_come_back()
    {
        using var folder = new TemporaryFolder();
        using DisposeScope scope = torch.NewDisposeScope();
        IReadOnlyList<string> written = CheckpointWriter.Write(folder.Path, Tensors(3));
        Assert.Equal([folder["model.safetensors"]], written);
        Assert.Equal(["model.safetensors"], folder.FileNames);

        using Checkpoint checkpoint = Checkpoint.Open(folder.Path), file = Checkpoint.Open(folder["model.safetensors"]);
        Assert.Equal(["t0", "t1", "t2"], checkpoint.Entries.Keys);
        Assert.Equal("pt", Assert.Single(checkpoint.Files).Metadata["format"]);
        Assert.Equal([2f, 2f, 2f], checkpoint.Map("t2").data<float>());
        Assert.Equal([1f, 1f, 1f], file.Map("t1").data<float>());
        Assert.Throws<KeyNotFoundException>(() => checkpoint.Map("t3"));
    }

    [Fact]
    public void Weights_are_split_as_transformers_splits_them()
    {
        using var folder = new TemporaryFolder();
        using DisposeScope scope = torch.NewDisposeScope();
        // 12 bytes per tensor and 24 a shard; the fourth, of 40 bytes, has one to itself, and the fifth fills the one
        // before.
        List<KeyValuePair<string, torch.Tensor>> tensors = Tensors(5);
        tensors[3] = new("t3", torch.full(10, Number(3f)));
        CheckpointWriter.Write(folder.Path, tensors, maximumShardBytes: 24);

        Assert.Equal(
            ["model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
                "model.safetensors.index.json"], folder.FileNames);
        Assert.Equal("""
            {
              "metadata": {
                "total_size": 88
              },
              "weight_map": {
                "t0": "model-00001-of-00003.safetensors",
                "t1": "model-00001-of-00003.safetensors",
                "t2": "model-00003-of-00003.safetensors",
                "t3": "model-00002-of-00003.safetensors",
                "t4": "model-00003-of-00003.safetensors"
              }
            }

            """, File.ReadAllText(folder["model.safetensors.index.json"]));
        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        Assert.Equal(5, checkpoint.Entries.Count);
        foreach ((string name, torch.Tensor tensor) in tensors)
            Assert.Equal(tensor.data<float>().ToArray(), checkpoint.Map(name).data<float>().ToArray());
    }

    [Fact]
    public void Files_of_an_earlier_save_do_not_stay_to_be_loaded()
    {
        using var folder = new TemporaryFolder();
        using DisposeScope scope = torch.NewDisposeScope();
        File.WriteAllText(folder["config.json"], "{}");
        CheckpointWriter.Write(folder.Path, Tensors(4), maximumShardBytes: 12);
        CheckpointWriter.Write(folder.Path, Tensors(4), maximumShardBytes: 24);
        Assert.Equal(
            ["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
            "model.safetensors.index.json"],
            folder.FileNames);
        CheckpointWriter.Write(folder.Path, Tensors(4));
        Assert.Equal(["config.json", "model.safetensors"], folder.FileNames);
        CheckpointWriter.Write(folder.Path, Tensors(4), maximumShardBytes: 24);
        Assert.DoesNotContain("model.safetensors", folder.FileNames);
    }

    [Fact]
    public void Everything_wrong_with_shards_is_told_at_once()
    {
        using var folder = new TemporaryFolder();
        using DisposeScope scope = torch.NewDisposeScope();
        SafeTensorsWriter.Write(folder["1.safetensors"], [new("a", torch.ones(1)), new("b", torch.ones(1))]);
        SafeTensorsWriter.Write(folder["2.safetensors"], [new("b", torch.ones(1)), new("c", torch.ones(1))]);
        File.WriteAllBytes(folder["4.safetensors"], [1, 2]);
        WriteIndex(folder, """
            {"a":"2.safetensors","b":"1.safetensors","c":"2.safetensors","d":"3.safetensors","e":"3.safetensors","f":"4.safetensors","g":"1.safetensors"}
            """);
        var e = Assert.Throws<InputException>(() => Checkpoint.Open(folder.Path));
        Assert.Equal(5, e.Problems.Count);
        Assert.Contains("3.safetensors is missing; the index takes 2 tensors from it, such as 'd'", e.Problems[0]);
        Assert.Contains("4.safetensors is 2 bytes long", e.Problems[1]);
        Assert.Contains(
            "'a' is not in 2.safetensors, where the index places it; it is in 1.safetensors", e.Problems[2]);
        Assert.Contains("'g' is not in 1.safetensors", e.Problems[3]);
        Assert.Contains("'b' is in two shards, 1.safetensors and 2.safetensors", e.Problems[4]);
        Assert.Contains(folder["model.safetensors.index.json"], e.Message);
    }

    [Theory]
    [InlineData("../x.safetensors")]
    [InlineData("/etc/x.safetensors")]
    [InlineData("sub/x.safetensors")]
    [InlineData("..\\\\x.safetensors")]
    [InlineData("C:x.safetensors")]
    [InlineData("model.bin")]
    [InlineData("")]
    public void An_index_points_to_no_other_folder_and_no_other_format(string file)
    {
        using var folder = new TemporaryFolder();
        WriteIndex(folder, $$"""{"a":"{{file}}","b":7}""");
        var e = Assert.Throws<InputException>(() => Checkpoint.Open(folder.Path));
        Assert.Equal(2, e.Problems.Count);
        Assert.Contains("'a' is placed in", e.Problems[0]);
        Assert.Contains("the value of 'b' is 7", e.Problems[1]);
    }

    [Theory]
    [InlineData("[]", "does not hold a JSON object")]
    [InlineData("""{"weight_map":[]}""", "no object 'weight_map'")]
    [InlineData("""{"weight_map":{}}""", "weight_map is empty")]
    [InlineData("""{"weight_map":{"a":"1.safetensors","a":"2.safetensors"}}""", "Duplicate property 'a'")]
    [InlineData("{", "is not valid JSON")]
    public void An_index_that_is_none_is_told(string index, string expected)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["model.safetensors.index.json"], index);
        Assert.Contains(expected, Assert.Throws<InputException>(() => Checkpoint.Open(folder.Path)).Message);
    }

    [Theory]
    [InlineData("consolidated.00.pth", "found consolidated.00.pth")]
    [InlineData("adapter_model.safetensors", "holds an adapter")]
    [InlineData("config.json", "found config.json")]
    public void A_folder_without_weights_says_what_to_do(string file, string expected)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder[file], "x");
        string message = Assert.Throws<InputException>(() => Checkpoint.Open(folder.Path)).Message;
        Assert.Contains(expected, message);
        Assert.Contains(file, message);
        Assert.Contains("model.safetensors", message);
    }

    [Fact]
    public void An_empty_or_missing_folder_is_told()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("found no files", Assert.Throws<InputException>(() => Checkpoint.Open(folder.Path)).Message);
        Assert.Contains("does not exist", Assert.Throws<InputException>(() => Checkpoint.Open(folder["none"])).Message);
    }

    [Fact]
    public void What_cannot_be_written_touches_no_file()
    {
        using var folder = new TemporaryFolder();
        using DisposeScope scope = torch.NewDisposeScope();
        Assert.Throws<InputException>(
            () => CheckpointWriter.Write(folder.Path, [.. Tensors(2), .. Tensors(1)], maximumShardBytes: 12));
        Assert.Empty(folder.FileNames);
        Assert.Throws<ArgumentOutOfRangeException>(
            () => CheckpointWriter.Write(folder.Path, Tensors(1), maximumShardBytes: 0));
        Assert.Equal(5_000_000_000, CheckpointWriter.DefaultMaximumShardBytes);
    }

    private static List<KeyValuePair<string, torch.Tensor>> Tensors(int count) =>
        [.. Enumerable.Range(0, count).Select(i => KeyValuePair.Create($"t{i}", torch.full(3, Number((float)i))))];

    private static void WriteIndex(TemporaryFolder folder, string map) =>
        File.WriteAllText(
            folder["model.safetensors.index.json"], $$"""{"metadata":{"total_size":8},"weight_map":{{map}}}""");
}
