using System.Runtime.InteropServices;
using LowRank.IO;
using TorchSharp;

namespace LowRank.Tests.IO;

public sealed class SafeTensorsFileTests
{
    private const string Pair = """
        {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}
        """;

    [Fact]
    public void Entries_tell_type_shape_and_place()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(
            folder["a"], SafeTensorsBytes.Make(Pair + "  ", [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0x80, 0xbf]));
        using SafeTensorsFile file = SafeTensorsFile.Open(folder["a"]);
        long start = 8 + Pair.Length + 2;

        Assert.Equal(["a", "b"], file.Entries.Keys);
        Assert.Empty(file.Metadata);
        SafeTensorsEntry a = file.Entries["a"], b = file.Entries["b"];
        Assert.Equal(("a", "F32", torch.ScalarType.Float32, start, start + 8, 2L, folder["a"]),
            (a.Name, a.DataType, a.Type, a.Begin, a.End, a.ElementCount, a.File));
        Assert.Equal(("BF16", torch.ScalarType.BFloat16, 2L, 1L), (b.DataType, b.Type, b.Bytes, b.ElementCount));
        using torch.Tensor first = file.Map("a"), second = file.Map("b");
        Assert.Equal([1f, 2f], first.data<float>());
        Assert.Equal([], second.shape);
        Assert.Equal(-1f, second.to(torch.ScalarType.Float32).item<float>());
        Assert.Throws<KeyNotFoundException>(() => file.Map("c"));
    }

    [Fact]
    public void Writing_to_a_tensor_never_reaches_the_file_and_tensors_outlive_it()
    {
        using var folder = new TemporaryFolder();
        byte[] content = SafeTensorsBytes.Make(Pair.PadRight(112), 10);
        File.WriteAllBytes(folder["a"], content);
        SafeTensorsFile file = SafeTensorsFile.Open(folder["a"]);
        torch.Tensor tensor = file.Map("a"), again = file.Map("a");
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Map("a"));

        tensor.fill_(Number(3));
        Assert.Equal([3f, 3f], again.data<float>());
        Assert.Equal(content, File.ReadAllBytes(folder["a"]));
        File.Delete(folder["a"]);
        Assert.Equal(6, tensor.sum().item<float>());
        tensor.Dispose();
        Assert.Equal([3f, 3f], again.data<float>());
        Assert.True(IsMapped(folder["a"]));
        again.Dispose();
        Assert.False(IsMapped(folder["a"]));
    }

    [Fact]
    public void A_forgotten_tensor_gives_the_mapping_back_to_the_collector()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a"], SafeTensorsBytes.Make(Pair.PadRight(112), 10));
        Forget(folder["a"]);
        for (int i = 0; i < 20 && IsMapped(folder["a"]); i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Assert.False(IsMapped(folder["a"]));

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static void Forget(string path)
        {
            using SafeTensorsFile file = SafeTensorsFile.Open(path);
            Assert.Equal(2, file.Map("a").numel());
            Assert.True(IsMapped(path));
        }
    }

    [Fact]
    public void Data_that_is_not_aligned_to_its_type_is_copied()
    {
        using var folder = new TemporaryFolder();
        // 113 characters: the data begins at an odd place.
        File.WriteAllBytes(
            folder["a"], SafeTensorsBytes.Make(Pair.PadRight(113), [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0x80, 0xbf]));
        torch.Tensor tensor;
        using (SafeTensorsFile file = SafeTensorsFile.Open(folder["a"])) tensor = file.Map("a");
        Assert.False(IsMapped(folder["a"]));
        Assert.Equal([1f, 2f], tensor.data<float>());
        tensor.Dispose();
    }

    [Fact]
    public void Empty_tensors_and_a_file_without_tensors_are_fine()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(
            folder["a"], SafeTensorsBytes.Make("""{"e":{"dtype":"I64","shape":[3,0],"data_offsets":[0,0]}}""", 0));
        File.WriteAllBytes(folder["b"], SafeTensorsBytes.Make("{}", 0));
        using SafeTensorsFile empty = SafeTensorsFile.Open(folder["a"]), none = SafeTensorsFile.Open(folder["b"]);
        using torch.Tensor tensor = empty.Map("e");
        Assert.Equal([3L, 0], tensor.shape);
        Assert.Equal(torch.ScalarType.Int64, tensor.dtype);
        Assert.Empty(none.Entries);
    }

    [Fact]
    public void A_type_that_torch_lacks_is_listed_and_refused_when_mapped()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a"], SafeTensorsBytes.Make("""
            {"q":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]},"n":{"dtype":"F4","shape":[4],"data_offsets":[4,6]}}
            """, 6));
        using SafeTensorsFile file = SafeTensorsFile.Open(folder["a"]);
        Assert.False(file.Entries["q"].IsSupported);
        string message = Assert.Throws<InputException>(() => file.Map("q")).Message;
        Assert.Contains("'q'", message);
        Assert.Contains("F8_E4M3", message);
        Assert.Contains("BF16", message);
        Assert.Throws<InputException>(() => file.Entries["n"].Type);
    }

    [Fact]
    public void A_tensor_beyond_4_GiB_of_a_sparse_file_is_read()
    {
        using var folder = new TemporaryFolder();
        const long big = (4L << 30) + 8;
        SafeTensorsBytes.WriteSparse(folder["a"], $$$"""
            {"big":{"dtype":"U8","shape":[2,{{{big / 2}}}],"data_offsets":[0,{{{big}}}]},"last":{"dtype":"F32","shape":[2],"data_offsets":[{{{big}}},{{{big + 8}}}]}}
            """, big + 8, [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]);
        using SafeTensorsFile file = SafeTensorsFile.Open(folder["a"]);
        using torch.Tensor last = file.Map("last"), whole = file.Map("big");
        Assert.Equal([1f, 2f], last.data<float>());
        Assert.Equal(big, whole.numel());
        Assert.Equal(0, whole[1, big / 2 - 1].item<byte>());
        whole[1, big / 2 - 1] = torch.tensor((byte)9);
        Assert.Equal(9, whole.view(-1)[big - 1].item<byte>());
        Assert.Equal(1f, last[0].item<float>());
    }

    private static bool IsMapped(string path)
    {
        Assert.SkipUnless(RuntimeInformation.IsOSPlatform(OSPlatform.Linux), "reads /proc");
        return File.ReadAllText("/proc/self/maps").Contains(path, StringComparison.Ordinal);
    }
}
