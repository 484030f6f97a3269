using System.Security.Cryptography;
using System.Text;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Models;

/// <summary>What tells a base from another.</summary>
public sealed class BaseFingerprintTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string Write(string name, params (string Name, Tensor Value)[] tensors)
    {
        Directory.CreateDirectory(folder[name]);
        SafeTensorsWriter.Write(
            Path.Combine(folder[name], Checkpoint.SingleFileName),
            [.. tensors.Select(tensor => KeyValuePair.Create(tensor.Name, tensor.Value))]);
        return folder[name];
    }

    [Fact]
    public void It_is_SHA_256_over_the_sorted_names_dtypes_shapes_and_bytes()
    {
        using var scope = NewDisposeScope();
        string both = Write(
            "both", ("b", Indices(0, 6, type: ScalarType.Float32).view(2, 3)), ("a.weight", tensor(new short[] { 7 })));
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes("a.weight\0I16\01\0"));
        hash.AppendData(SHA256.HashData([7, 0]));
        hash.AppendData(Encoding.UTF8.GetBytes("b\0F32\02,3\0"));
        hash.AppendData(SHA256.HashData([.. Enumerable.Range(0, 6).SelectMany(i => BitConverter.GetBytes((float)i))]));
        Assert.Equal(Convert.ToHexStringLower(hash.GetHashAndReset()), BaseFingerprint.Compute(both));
        Assert.Equal(BaseFingerprint.Compute(both),
            BaseFingerprint.Compute(
                Write("other way", ("a.weight", tensor(new short[] { 7 })),
                ("b", Indices(0, 6, type: ScalarType.Float32).view(2, 3)))));
    }

    [Fact]
    public void Another_name_dtype_shape_or_byte_gives_another()
    {
        using var scope = NewDisposeScope();
        Tensor value = Indices(0, 6, type: ScalarType.Float32);
        string[] all =
        [
            Write("one", ("a", value.view(2, 3))), Write("name", ("b", value.view(2, 3))),
                Write("shape", ("a", value.view(3, 2))),
            Write("dtype", ("a", value.view(2, 3).to(ScalarType.Float16))),
            Write("byte", ("a", value.view(2, 3).Plus(1))),
                Write("more", ("a", value.view(2, 3)), ("b", value)),
        ];
        Assert.Equal(all.Length, all.Select(BaseFingerprint.Compute).Distinct().Count());
    }

    [Fact]
    public void A_large_ones_is_kept_by_path_size_and_time_and_a_damaged_or_missing_cache_costs_nothing_but_time()
    {
        using var scope = NewDisposeScope();
        string weights = Write("base", ("a", Indices(0, 6, type: ScalarType.Float32))), cache = folder["cache"],
            expected = BaseFingerprint.Compute(weights);
        string Of() => BaseFingerprint.Compute(weights, cache, leastCached: 0);
        Assert.Equal(expected, Of());
        string entry = Assert.Single(Directory.GetFiles(cache));
        string kept = new('c', 64);
        File.WriteAllText(entry, kept);
        Assert.Equal(kept, Of()); // it is what was kept, not read anew
        File.WriteAllText(entry, "damaged");
        Assert.Equal(expected, Of());
        Assert.Equal(expected, File.ReadAllText(entry).Trim());
        File.WriteAllText(entry, kept);
        File.SetLastWriteTimeUtc(Path.Combine(weights, Checkpoint.SingleFileName), DateTime.UtcNow.AddHours(1));
        Assert.Equal(expected, Of());
        Directory.Delete(cache, recursive: true);
        File.WriteAllText(cache, "a file is in its place");
        Assert.Equal(expected, Of());
        Assert.Equal(expected, BaseFingerprint.Compute(weights, folder["nowhere"], leastCached: 1000));
        Assert.False(Directory.Exists(folder["nowhere"]));
    }

    [Fact]
    public void What_an_adapter_does_in_memory_makes_no_difference_and_random_weights_have_none()
    {
        using var tiny = new TinyModel();
        Assert.Null(tiny.Model.Fingerprint);
        tiny.Save();
        using PretrainedModel model = PretrainedModel.Open(tiny.Path);
        using (no_grad()) model.Network.Parameters["model.norm.weight"].fill_(Number(3));
        Assert.Equal(BaseFingerprint.Compute(tiny.Path), model.Fingerprint);
    }

    public void Dispose() => folder.Dispose();
}
