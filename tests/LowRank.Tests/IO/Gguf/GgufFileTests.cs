using LowRank.IO.Gguf;
using LowRank.Kernels;
using TorchSharp;

namespace LowRank.Tests.IO.Gguf;

public sealed class GgufFileTests
{
    [Fact]
    public void What_is_written_is_read()
    {
        using var folder = new TemporaryFolder();
        using torch.Tensor matrix = torch.tensor(GgufBlockTests.Row()).view(4, 256),
            vector = Indices(0, 3, type: torch.ScalarType.Float32);
        GgufMetadata metadata = new GgufMetadata().Set("general.architecture", "llama").Set("byte", (byte)200)
            .Set("signed", (sbyte)-3).Set("short", (short)-4).Set("word", (ushort)40000).Set("number", 7u)
            .Set("negative", -7).Set("real", 0.5f).Set("flag", true).Set("large", ulong.MaxValue - 1).Set("long", -9L)
            .Set("double", 0.1).Set("texts", (string[])["a", "", "é▁"]).Set("reals", (float[])[1, 2])
            .Set("kinds", (int[])[1, -1]).Set("none", null);
        GgufWriter.Write(folder["a.gguf"], metadata,
        [
            new GgufSource("v", [3], GgufType.F32, () => vector.alias()),
            new GgufSource("m", [4, 256], GgufType.Q8_0, () => matrix.alias()),
            new GgufSource("h", [4, 256], GgufType.BF16, () => matrix.to(torch.ScalarType.BFloat16)),
        ]);
        using GgufFile file = GgufFile.Open(folder["a.gguf"]);
        Assert.Equal(metadata.Values, file.Metadata.Values);
        Assert.Equal(200, file.Metadata.Integer("byte"));
        Assert.Equal(0.5, file.Metadata.Number("real"));
        Assert.Null(file.Metadata.Integer("large"));
        Assert.Null(file.Metadata.Text("number"));
        Assert.Equal([1, -1], file.Metadata.Integers("kinds")!);
        Assert.Equal(["v", "m", "h"], file.Tensors.Keys);
        Assert.All(file.Tensors.Values, tensor => Assert.Equal(0, tensor.Begin % 32));

        using torch.Tensor v = file.Read(file.Tensors["v"]), m = file.Read(file.Tensors["m"]),
            h = file.Read(file.Tensors["h"]);
        Assert.Equal([0f, 1, 2], v.data<float>());
        Assert.Equal([4L, 256], m.shape);
        Assert.Equal(torch.ScalarType.BFloat16, h.dtype);
        Assert.InRange((m - matrix).abs().max().item<float>(), 1e-9, 0.375 / 127 / 2 + 1e-4);
        // Any part, not only whole blocks.
        float[] part = new float[75];
        file.Expand(file.Tensors["m"], 301, part);
        Assert.Equal(m.view(-1).narrow(0, 301, 75).data<float>().ToArray(), part);
    }

    [Fact]
    public void Values_that_a_type_cannot_hold_are_refused_and_nothing_is_left()
    {
        using var folder = new TemporaryFolder();
        void Write(float value, GgufType type) => GgufWriter.Write(folder["a"], new GgufMetadata(),
            [new GgufSource("m", [1, 32], type, () => torch.full([1, 32], Number(value)))]);
        Assert.Contains("m has the value 70000, which f16 cannot hold",
            Assert.Throws<NonFiniteException>(() => Write(70000, GgufType.F16)).Message, StringComparison.Ordinal);
        Assert.Contains("not finite", Assert.Throws<NonFiniteException>(() => Write(float.NaN, GgufType.F32)).Message,
            StringComparison.Ordinal);
        Assert.Contains("'m' has rows of 32 values, which q6_K cannot pack",
            Assert.Throws<InputException>(() => Write(1, GgufType.Q6K)).Message, StringComparison.Ordinal);
        Assert.Empty(folder.FileNames);
        Write(70000, GgufType.BF16);
        Assert.Equal(["a"], folder.FileNames);
    }

    [Fact]
    public void A_type_that_is_not_read_is_refused_by_name_where_its_values_are_wanted()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a"], new GgufBytes().Tensor("m", [256], 10, 0).Data(84));
        using GgufFile file = GgufFile.Open(folder["a"]);
        Assert.Contains("tensor 'm' is stored as q2_K, which cannot be read",
            Assert.Throws<InputException>(() => file.Read(file.Tensors["m"])).Message, StringComparison.Ordinal);
    }

    public static TheoryData<string, byte[]> Damaged => new()
    {
        { "does not begin with GGUF", "GGML\0\0\0\0"u8.ToArray() },
        { "ends within the format's mark", "GG"u8.ToArray() },
        { "its version is 1", new GgufBytes(version: 1).Data(0) },
        { "other byte order", new GgufBytes(version: 0x03000000).Data(0) },
        { "the number of keys is 4000000000", new GgufBytes(keys: 4_000_000_000).Data(0) },
        { "the number of tensors is 18446744073709551615", new GgufBytes(tensors: ulong.MaxValue).Data(0) },
        { "the number of values of 'k' is 1000000",
            new GgufBytes().Key("k", 9, [6, 0, 0, 0, .. Long(1_000_000)]).Data(0) },
        { "the length of a text of 'k' is 9223372036854775808",
            new GgufBytes().Key("k", 8, Long(0x8000000000000000)).Data(0) },
        { "'k' has the type 13", new GgufBytes().Key("k", 13, [0]).Data(0) },
        { "'k' is a list of values of type 9", new GgufBytes().Key("k", 9, [9, 0, 0, 0, .. Long(0)]).Data(0) },
        { "'k' is 2; expected 0 or 1", new GgufBytes().Key("k", 7, [2]).Data(0) },
        { "the key 'k' stands in the file twice", new GgufBytes().Key("k", 7, [1]).Key("k", 7, [1]).Data(0) },
        { "general.alignment is 24; expected a power of two",
            new GgufBytes().Key("general.alignment", 4, [24, 0, 0, 0]).Data(0) },
        { "tensor 't' has 5 dimensions", new GgufBytes().Tensor("t", [1, 1, 1, 1, 1], 0, 0).Data(4) },
        { "tensor 't' has 0 dimensions", new GgufBytes().Tensor("t", [], 0, 0).Data(4) },
        { "tensor 't' has a dimension of 0", new GgufBytes().Tensor("t", [0], 0, 0).Data(4) },
        { "tensor 't' has the type 99", new GgufBytes().Tensor("t", [1], 99, 0).Data(4) },
        { "rows of 31 values; q8_0 packs 32", new GgufBytes().Tensor("t", [31], 8, 0).Data(64) },
        { "more values than can be addressed", new GgufBytes().Tensor("t", [1L << 40, 1L << 40], 0, 0).Data(4) },
        { "tensor 't' begins at 5; expected a multiple of 32", new GgufBytes().Tensor("t", [1], 0, 5).Data(64) },
        { "the file was cut off", new GgufBytes().Tensor("t", [100], 0, 0).Data(64) },
        { "tensor 't' stands in the file twice",
            new GgufBytes().Tensor("t", [1], 0, 0).Tensor("t", [1], 0, 32).Data(64) },
        { "tensor 'u' begins inside the data of 't'",
            new GgufBytes().Tensor("t", [16], 0, 0).Tensor("u", [1], 0, 32).Data(64) },
    };

    [Theory, MemberData(nameof(Damaged))]
    public void Damaged_headers_are_refused(string expected, byte[] content)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a.gguf"], content);
        InputException refusal = Assert.Throws<InputException>(() => GgufFile.Open(folder["a.gguf"]));
        Assert.Contains(expected, refusal.Message, StringComparison.Ordinal);
        Assert.Contains(folder["a.gguf"], refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Paths_that_are_no_files_are_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("is a folder",
            Assert.Throws<InputException>(() => GgufFile.Open(folder.Path)).Message, StringComparison.Ordinal);
        Assert.Contains("does not exist",
            Assert.Throws<InputException>(() => GgufFile.Open(folder["a"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Version_2_and_another_alignment_are_read()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a"], new GgufBytes(version: 2).Key("general.alignment", 4, [64, 0, 0, 0])
            .Tensor("t", [1], 0, 0).Tensor("u", [1], 0, 64).Data(68, alignment: 64));
        using GgufFile file = GgufFile.Open(folder["a"]);
        Assert.Equal(0, file.Tensors["u"].Begin % 64);
        Assert.Equal(64, file.Tensors["u"].Begin - file.Tensors["t"].Begin);
    }

    private static byte[] Long(ulong number) => BitConverter.GetBytes(number);
}
