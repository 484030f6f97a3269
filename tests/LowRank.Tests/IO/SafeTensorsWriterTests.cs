using System.Text;
using CsCheck;
using LowRank.IO;
using TorchSharp;

namespace LowRank.Tests.IO;

public sealed class SafeTensorsWriterTests
{
    private static readonly torch.ScalarType[] Types =
    [
        torch.ScalarType.Float32, torch.ScalarType.Float16, torch.ScalarType.BFloat16, torch.ScalarType.Float64,
        torch.ScalarType.Int64, torch.ScalarType.Int32, torch.ScalarType.Int16, torch.ScalarType.Int8,
        torch.ScalarType.Byte, torch.ScalarType.Bool,
    ];

    [Theory]
    [InlineData("llama.lora", true)]
    [InlineData("gpt2.lora", true)]
    [InlineData("roberta.lora", true)]
    [InlineData("llama.io", false)]
    public void A_file_of_the_Python_library_is_written_again_byte_for_byte(string name, bool hasMetadata)
    {
        string path = System.IO.Path.Combine(
            AppContext.BaseDirectory, "Fixtures", "safetensors", name + ".safetensors");
        using var folder = new TemporaryFolder();
        using DisposeScope scope = torch.NewDisposeScope();
        using SafeTensorsFile file = SafeTensorsFile.Open(path);
        Assert.Equal(hasMetadata ? SafeTensorsWriter.DefaultMetadata : new Dictionary<string, string>(), file.Metadata);

        // Reversed: the order of the arguments must not matter.
        SafeTensorsWriter.Write(
            folder["a"], [.. file.Entries.Keys.Reverse().Select(key => KeyValuePair.Create(key, file.Map(key)))],
            file.Metadata);

        Assert.Equal(File.ReadAllBytes(path), File.ReadAllBytes(folder["a"]));
    }

    [Fact]
    public void Tensors_lie_by_width_of_type_then_name_and_the_header_is_padded_and_escaped()
    {
        using var folder = new TemporaryFolder();
        using DisposeScope scope = torch.NewDisposeScope();
        SafeTensorsWriter.Write(folder["a"],
        [
            new("b", torch.tensor(new byte[] { 1, 2 })),
            new("é", torch.tensor(new[] { true })),
            new("a\"\\\n\u0001", torch.tensor(1.5f)),
            new("i", torch.tensor(new long[,] { { 7 } })),
        ], new Dictionary<string, string>());

        byte[] bytes = File.ReadAllBytes(folder["a"]);
        int header = BitConverter.ToInt32(bytes, 0);
        Assert.Equal(0, header % 8);
        Assert.Equal(
            "{\"i\":{\"dtype\":\"I64\",\"shape\":[1,1],\"data_offsets\":[0,8]}," +
            "\"a\\\"\\\\\\n\\u0001\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}," +
            "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[12,14]}," +
            "\"é\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[14,15]}}",
            Encoding.UTF8.GetString(bytes, 8, header).TrimEnd(' '));
        Assert.Equal([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0x3f, 1, 2, 1], bytes[(8 + header)..]);
    }

    [Fact]
    public void Random_tensors_of_every_type_and_shape_come_back_as_they_were()
    {
        Gen<(int Type, long[] Shape, bool Transposed)> tensor = Gen.Select(
            Gen.Int[0, Types.Length - 1], Gen.Long[0, 5].Array[0, 4], Gen.Bool);
        Gen.Select(tensor.Array[0, 6], Gen.String[1, 8].Where(IsUnicode).Array[6]
            .Where(names => names.Distinct().Count() == 6))
            .Sample((tensors, names) =>
            {
                using var folder = new TemporaryFolder();
                using DisposeScope scope = torch.NewDisposeScope();
                List<KeyValuePair<string, torch.Tensor>> written = [.. tensors.Select((item, i) =>
                {
                    torch.Tensor values = (torch.rand(item.Shape) * Number(100)).to(Types[item.Type]);
                    return KeyValuePair.Create(
                        names[i], item.Transposed && values.dim() > 1 ? values.transpose(0, 1) : values);
                })];
                SafeTensorsWriter.Write(folder["a"], written, new Dictionary<string, string> { [names[0]] = names[1] });

                using SafeTensorsFile file = SafeTensorsFile.Open(folder["a"]);
                Assert.Equal(names[1], file.Metadata[names[0]]);
                Assert.Equal(written.Count, file.Entries.Count);
                foreach ((string name, torch.Tensor expected) in written)
                {
                    torch.Tensor found = file.Map(name);
                    Assert.Equal(expected.dtype, found.dtype);
                    Assert.Equal(expected.shape, found.shape);
                    Assert.Equal(expected.contiguous().bytes.ToArray(), found.bytes.ToArray());
                }
            }, iter: 300, threads: 1);
    }

    [Fact]
    public void All_that_cannot_be_written_is_told_at_once_and_nothing_is_written()
    {
        using var folder = new TemporaryFolder();
        using DisposeScope scope = torch.NewDisposeScope();
        var e = Assert.Throws<InputException>(() => SafeTensorsWriter.Write(folder["a"],
        [
            new("x", torch.ones(1)), new("x", torch.ones(1)), new("__metadata__", torch.ones(1)),
            new("c", torch.ones(1, torch.ScalarType.ComplexFloat64)),
        ]));
        Assert.Equal(3, e.Problems.Count);
        Assert.Empty(folder.FileNames);
    }

    [Fact]
    public void A_failed_write_leaves_the_old_file_and_no_other()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a"], "old");
        Assert.Throws<IOException>(() => AtomicFile.Write(folder["a"], stream =>
        {
            stream.Write(new byte[100]);
            throw new IOException("disk full");
        }));
        Assert.Equal(["a"], folder.FileNames);
        Assert.Equal("old", File.ReadAllText(folder["a"]));

        AtomicFile.Write(folder["a"], "new");
        Assert.Equal(["a"], folder.FileNames);
        Assert.Equal("new", File.ReadAllText(folder["a"]));
    }

    // A lone surrogate has no UTF-8; __metadata__ is reserved.
    private static bool IsUnicode(string text)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetByteCount(text) > 0;
        }
        catch (EncoderFallbackException)
        {
            return false;
        }
    }
}
