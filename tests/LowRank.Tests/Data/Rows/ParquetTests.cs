using LowRank.Data;
using LowRank.Data.Rows;
using Parquet;
using Parquet.Schema;
using Parquet.Serialization;

namespace LowRank.Tests.Data.Rows;

public sealed class ParquetTests : IDisposable
{
    private readonly DataFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Lists_structures_numbers_and_missing_values_become_json()
    {
        var schema = new ParquetSchema(
            new DataField<string>("prompt"), new DataField<long>("n"), new DataField<double?>("d"),
            new DataField<bool>("b"),
            new ListField(
                "messages", new StructField(
                    "element", new DataField<string>("role"), new DataField<string>("content"))),
            new ListField("ids", new DataField<int>("element")));
        Dictionary<string, object?> Row(int i) => new()
        {
            ["prompt"] = i == 1 ? null : $"p{i}", ["n"] = (long)i, ["d"] = i == 0 ? null : 1.5, ["b"] = i == 2,
            ["messages"] =
                new List<IDictionary<string, object?>> { new Dictionary<string, object?> { ["role"] = "user",
                ["content"] = "hé" } },
            ["ids"] = new List<int> { i, 7 },
        };
        string path = Write("x.parquet", schema, [Row(0), Row(1)], [Row(2)]);
        IReadOnlyList<Row> rows = RowSource.Load([path]);
        Assert.Equal("""{"prompt":"p0","n":0,"b":false,"messages":[{"role":"user","content":"h\u00E9"}],"ids":[0,7]}""",
            rows[0].Fields.ToJsonString());
        Assert.Equal(["n", "d", "b", "messages", "ids"], rows[1].Fields.Select(field => field.Key));
        Assert.Equal((true, $"{path}, row 3"), (rows[2].Fields["b"]!.GetValue<bool>(), rows[2].Place.ToString()));
    }

    // Written by Apache Arrow's C++ library, as Python's pyarrow and datasets do: two row groups, dictionaries, several
    // pages, missing values.
    [Theory]
    [InlineData("arrow-snappy")]
    [InlineData("arrow-gzip")]
    [InlineData("arrow-zstd-v2")]
    public void Files_of_arrow_are_read(string name)
    {
        IReadOnlyList<Row> rows =
            RowSource.Load(
                [Path.Combine(AppContext.BaseDirectory, "Fixtures", "fuzz", "parquet", name + ".parquet")]);
        Assert.Equal(43, rows.Count);
        for (int i = 0; i < rows.Count; i++)
        {
            Assert.Equal(($"prompt {i % 5} é\n", i == 2 ? null : $"completion {i}", i + 1L),
                (rows[i].Text("prompt"), rows[i].Text("completion"), rows[i].Place.Line));
            Assert.Equal((i % 4 == 0 ? null : (long?)i, i / 4.0, i % 2 == 0),
                ((long?)rows[i].Fields["n"], (double)rows[i].Fields["score"]!, (bool)rows[i].Fields["kept"]!));
            Assert.Equal(Enumerable.Range(0, i % 3), rows[i].Fields["input_ids"]!.AsArray().Select(id => (int)id!));
            // a missing value of a list leaves no place
            Assert.Equal(i % 3 == 0 ? [] : i % 2 == 0 ? ["a"] : ["a", "b"], rows[i].Texts("facts"));
        }
    }

    [Fact]
    public void Bytes_are_refused_and_a_torn_file_too()
    {
        var schema = new ParquetSchema(new DataField<ReadOnlyMemory<byte>>("image"), new DataField<string>("text"));
        string path = Write(
            "x.parquet", schema,
            [new Dictionary<string, object?> { ["image"] = new ReadOnlyMemory<byte>([1, 2]), ["text"] = "a" }]);
        Assert.Contains(
            "x.parquet, row 1: \"image\" contains bytes", DataFolder.Refusal(path), StringComparison.Ordinal);
        byte[] whole = File.ReadAllBytes(path);
        Assert.Contains(
            "cannot be read as Parquet", DataFolder.Refusal(folder.Write("torn.parquet", whole[..(whole.Length / 2)])),
            StringComparison.Ordinal);
    }

    private string Write(
        string name, ParquetSchema schema, params IReadOnlyCollection<IDictionary<string, object?>>[] groups)
    {
        using var into = new MemoryStream();
        foreach (IReadOnlyCollection<IDictionary<string, object?>> rows in groups)
            ParquetSerializer.SerializeUntypedAsync(rows, schema, into, new ParquetOptions { Append = into.Length > 0 })
                .GetAwaiter().GetResult();
        return folder.Write(name, into.ToArray());
    }
}
