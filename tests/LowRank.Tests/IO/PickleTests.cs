using LowRank.IO;
using TorchSharp;

namespace LowRank.Tests.IO;

/// <summary>Checkpoints that torch.save wrote (fixtures of make_pickles.py), read without running anything.</summary>
public sealed class PickleTests
{
    private static string Fixture(string name) => Path.Combine(AppContext.BaseDirectory, "Fixtures", "pickle", name);

    [Theory]
    [InlineData("weights.bin")]
    [InlineData("weights4.bin")] // pickle protocol 4
    [InlineData("legacy.bin")] // no zip archive, as before torch 1.6
    public void Every_tensor_is_that_of_the_safetensors_file(string name)
    {
        using SafeTensorsFile pickle = SafeTensorsFile.OpenAny(Fixture(name)),
            expected = SafeTensorsFile.OpenAny(Fixture("weights.safetensors"));
        Assert.Equal(expected.Entries.Keys.Order(), pickle.Entries.Keys.Order());
        Assert.Equal(15, pickle.Entries.Count);
        foreach (string key in expected.Entries.Keys)
        {
            using torch.Tensor a = pickle.Map(key), b = expected.Map(key);
            Assert.Equal(b.dtype, a.dtype);
            Assert.Equal(b.shape, a.shape);
            Assert.Equal(b.bytes.ToArray(), a.bytes.ToArray());
        }
    }

    [Fact]
    public void A_pickle_that_would_run_code_is_refused_by_the_name_it_refers_to()
    {
        string message = Assert.Throws<InputException>(() => SafeTensorsFile.OpenAny(Fixture("evil.bin"))).Message;
        Assert.Contains("posix.system", message);
        Assert.Contains("can run any code", message);
        Assert.Contains("evil.bin", message);
    }

    [Theory]
    [InlineData("nested.bin", "'state_dict' is no tensor but a dictionary")]
    [InlineData("turned.bin", "not contiguous")]
    public void What_cannot_be_used_says_why(string name, string expected) =>
        Assert.Contains(expected, Assert.Throws<InputException>(() => SafeTensorsFile.OpenAny(Fixture(name))).Message);

    [Fact]
    public void A_folder_with_a_pickle_alone_is_a_checkpoint_and_safetensors_win()
    {
        using var folder = new TemporaryFolder();
        File.Copy(Fixture("weights.bin"), folder["pytorch_model.bin"]);
        using (Checkpoint checkpoint = Checkpoint.Open(folder.Path)) Assert.Equal(15, checkpoint.Entries.Count);
        File.Copy(Fixture("weights.safetensors"), folder["model.safetensors"]);
        using (Checkpoint checkpoint = Checkpoint.Open(folder.Path))
            Assert.EndsWith("model.safetensors", Assert.Single(checkpoint.Files).Path);
    }

    [Fact]
    public void Shards_of_pickles_are_one_checkpoint()
    {
        using var folder = new TemporaryFolder();
        File.Copy(Fixture("weights.bin"), folder["pytorch_model-00001-of-00001.bin"]);
        File.WriteAllText(
            folder["pytorch_model.bin.index.json"], """{"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}""");
        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        Assert.Equal(15, checkpoint.Entries.Count);
    }

    [Fact]
    public void Damaged_files_end_in_errors_that_help_and_never_elsewhere()
    {
        using var folder = new TemporaryFolder();
        var random = new Random(7);
        int refused = 0;
        foreach (string name in new[] { "weights.bin", "weights4.bin", "nested.bin" })
        {
            byte[] whole = File.ReadAllBytes(Fixture(name));
            for (int i = 0; i < 700; i++)
            {
                byte[] broken = i % 7 == 0 ? whole[..random.Next(whole.Length)] : [.. whole];
                for (int change = random.Next(1, 6); change > 0 && broken.Length > 0; change--)
                    broken[random.Next(broken.Length)] = (byte)random.Next(256);
                File.WriteAllBytes(folder["broken.bin"], broken);
                try
                {
                    using SafeTensorsFile file = SafeTensorsFile.OpenAny(folder["broken.bin"]);
                    foreach (string key in file.Entries.Keys) file.Map(key).Dispose();
                }
                catch (InputException e)
                {
                    refused++;
                    Assert.Contains("broken.bin", e.Message);
                }
            }
        }
        Assert.InRange(refused, 700, 2100);
    }
}
