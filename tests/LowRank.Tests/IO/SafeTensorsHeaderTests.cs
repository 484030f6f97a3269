using System.Text;
using CsCheck;
using LowRank.IO;
using TorchSharp;

namespace LowRank.Tests.IO;

public sealed class SafeTensorsHeaderTests
{
    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 12, "4 bytes after the last tensor")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 4, "cut off")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "belong to no tensor")]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""",
        3, "inside that of 'a'")]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}""",
        2, "inside that of")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", 8, "before that")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", 8, "F32 of shape [3] takes 12")]
    [InlineData("""{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}""", 2, "F4 of shape [3] takes 2")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}""", 0,
        "more elements than")]
    [InlineData(
        """{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296,4294967296,4294967296],"data_offsets":[0,0]}}""", 0, "more elements than")]
    [InlineData("""{"a":{"dtype":"F32","shape":[0,4611686018427387904,4611686018427387904],"data_offsets":[0,0]}}""", 0,
        "more elements than")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1,2],"data_offsets":[0,8]}}""", 8, "shape[0] is -1")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}""", 8, "shape[0] is 2.0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}}""", 8,
        "data_offsets[1] is 18446744073709551615")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775800]}}""", 8, "takes 8")]
    [InlineData("""{"a":{"dtype":"U8","shape":[9223372036854775800],"data_offsets":[0,9223372036854775800]}}""", 8,
        "more elements than")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}""", 8, "has 1 numbers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}""", 8, "has 3 numbers")]
    [InlineData("""{"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}""", 8, "shape is 2; expected an array")]
    [InlineData("""{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}""", 8, "unknown dtype 'F31'")]
    [InlineData("""{"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}}""", 8, "dtype is 7")]
    [InlineData("""{"a":{"shape":[2],"data_offsets":[0,8]}}""", 8, "dtype is missing")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"extra":{}}}""", 8, "unknown field 'extra'")]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8, "dtype is given twice")]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""",
        2, "'a' stands in the header twice")]
    [InlineData("""{"a":[1]}""", 0, "'a' is an array")]
    [InlineData("""{"__metadata__":{"n":1}}""", 0, "the value of 'n' is 1")]
    [InlineData("""{"__metadata__":{"n":"1","n":"2"}}""", 0, "'n' stands there twice")]
    [InlineData("""{"__metadata__":"x"}""", 0, "__metadata__ is a string")]
    [InlineData("""{"a":""", 0, "not valid JSON")]
    [InlineData("""{} x""", 0, "not valid JSON")]
    [InlineData("""{"a":{"dtype":"\ud800","shape":[],"data_offsets":[0,0]}}""", 0, "not valid JSON")]
    [InlineData(""" {}""", 0, "does not begin with '{'")]
    [InlineData("", 0, "does not begin with '{'")]
    public void A_wrong_header_is_told(string header, int dataBytes, string expected) =>
        Assert.Contains(expected, Assert.Single(Problems(SafeTensorsBytes.Make(header, dataBytes))));

    [Fact]
    public void Many_dimensions_are_refused() =>
        Assert.Contains("shape has 65 numbers; expected at most 64", Assert.Single(Problems(
        SafeTensorsBytes.Make(
            $$$"""{"a":{"dtype":"U8","shape":[{{{string.Join(',', Enumerable.Repeat(1, 65))}}}],"data_offsets":[0,1]}}""", 1))));

    [Fact]
    public void All_problems_are_told_at_once()
    {
        IReadOnlyList<string> problems = Problems(SafeTensorsBytes.Make("""
            {"__metadata__":{"n":null},"a":{"dtype":"F31","shape":[-2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[3],"data_offsets":[8,16]},"c":5}
            """, 16));
        Assert.Equal(5, problems.Count);
        Assert.Contains("'n'", problems[0]);
        Assert.Contains("F31", problems[1]);
        Assert.Contains("-2", problems[2]);
        Assert.Contains("'b'", problems[3]);
        Assert.Contains("'c'", problems[4]);
    }

    [Fact]
    public void A_list_of_thousands_of_problems_ends_with_their_number()
    {
        string header = "{" + string.Join(',', Enumerable.Range(0, 5000).Select(i => $"\"{i}\":1")) + "}";
        IReadOnlyList<string> problems = Problems(SafeTensorsBytes.Make(header, 0));
        Assert.Equal(201, problems.Count);
        Assert.Equal("and 4800 more problems", problems[200]);
    }

    [Theory]
    [InlineData(new byte[0], "is 0 bytes long")]
    [InlineData(new byte[] { 1, 2, 3 }, "is 3 bytes long")]
    [InlineData(new byte[] { 3, 0, 0, 0, 0, 0, 0, 0, (byte)'{', (byte)'}' }, "only 2 after")]
    [InlineData(new byte[] { 255, 255, 255, 255, 255, 255, 255, 255, 0 }, "claims 18446744073709551615 bytes")]
    [InlineData(new byte[] { 1, 0xe1, 0xf5, 5, 0, 0, 0, 0, 0 }, "at most 100000000")]
    public void A_wrong_length_is_told(byte[] file, string expected) =>
        Assert.Contains(expected, Assert.Single(Problems(file)));

    [Fact]
    public void A_missing_file_and_a_folder_are_told()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(
            "does not exist", Assert.Throws<InputException>(() => SafeTensorsFile.Open(folder["none"])).Message);
        Assert.Contains("is a folder", Assert.Throws<InputException>(() => SafeTensorsFile.Open(folder.Path)).Message);
    }

    [Fact]
    public void A_damaged_header_raises_InputException_and_nothing_else()
    {
        byte[] good = File.ReadAllBytes(
            Path.Combine(AppContext.BaseDirectory, "Fixtures", "safetensors", "roberta.lora.safetensors"));
        int header = BitConverter.ToInt32(good, 0);
        int opened = 0, refused = 0;
        // Bytes that mean something to JSON find more than random ones.
        Gen<byte> value = Gen.OneOf(Gen.Byte, OneOf("0123456789-.eE{}[]\",: \\tfn"u8.ToArray()));
        Gen.Select(Gen.Int[0, 8 + header - 1], value, Gen.Int[0, 2]).Array[1, 4].Sample(changes =>
        {
            var bytes = new List<byte>(good);
            foreach ((int at, byte b, int kind) in changes)
            {
                if (kind == 0) bytes[at] = b;
                else if (kind == 1) bytes.Insert(at, b);
                else bytes.RemoveAt(at);
            }
            if (TryOpen([.. bytes])) opened++;
            else refused++;
        }, iter: 3000, threads: 1);
        // A changed letter of a name is no damage; most changes are.
        Assert.True(opened > 50 && refused > 500, $"{opened} opened, {refused} refused");
    }

    [Fact]
    public void Headers_of_random_numbers_open_only_where_they_fit()
    {
        Gen<long> number = Gen.OneOf(Gen.Long[0, 8], Gen.Long, OneOf(long.MaxValue, long.MinValue, 1L << 32, 1L << 62));
        Gen<string> type = OneOf("F32", "F16", "BF16", "I64", "U8", "BOOL", "F4", "F8_E4M3", "U64", "C64");
        Gen.Select(type, number.Array[0, 4], number, number).Array[1, 4].Sample(entries =>
        {
            IEnumerable<string> texts = entries.Select((entry, i) =>
                $$"""
                "t{{i}}":{"dtype":"{{entry.Item1}}","shape":[{{string.Join(',', entry.Item2)}}],"data_offsets":[{{entry.Item3}},{{entry.Item4}}]}
                """);
            TryOpen(SafeTensorsBytes.Make("{" + string.Join(',', texts) + "}", 16));
        }, iter: 3000, threads: 1);
    }

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static bool TryOpen(byte[] bytes)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a"], bytes);
        try
        {
            using SafeTensorsFile file = SafeTensorsFile.Open(folder["a"]);
            using DisposeScope scope = torch.NewDisposeScope();
            foreach (SafeTensorsEntry entry in file.Entries.Values.Where(entry => entry.IsSupported))
                Assert.Equal(entry.ElementCount, file.Map(entry.Name).numel());
            return true;
        }
        catch (InputException e)
        {
            Assert.NotEmpty(e.Problems);
            return false;
        }
    }

    private static IReadOnlyList<string> Problems(byte[] file)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["bad.safetensors"], file);
        var e = Assert.Throws<InputException>(() => SafeTensorsFile.Open(folder["bad.safetensors"]));
        Assert.Contains(folder["bad.safetensors"], e.Message);
        return e.Problems;
    }
}
