namespace LowRank.Data.Rows;

/// <summary>The structures of Parquet's footer and page headers (parquet.thrift), field by field.</summary>
/// <remarks>A letter a field: b truth value, y byte, h, i, l whole numbers of 2, 4, 8 bytes, s bytes; a name in brackets a structure;
/// * before it a list.</remarks>
internal static class ParquetStructures
{
    private static readonly Dictionary<string, string> Written = new()
    {
        ["File"] = "1:i 2:*(Schema) 3:l 4:*(Group) 5:*(Pair) 6:s 7:*(Order) 9:s",
        ["Schema"] = "1:i 2:i 3:i 4:s 5:i 6:i 7:i 8:i 9:i 10:(Logical)",
        ["Logical"] = "1:(Empty) 2:(Empty) 3:(Empty) 4:(Empty) 5:(Decimal) 6:(Empty) 7:(Time) 8:(Time) 10:(Whole) 11:(Empty) 12:(Empty) 13:(Empty) 14:(Empty) 15:(Empty)",
        ["Decimal"] = "1:i 2:i",
        ["Time"] = "1:b 2:(Unit)",
        ["Unit"] = "1:(Empty) 2:(Empty) 3:(Empty)",
        ["Whole"] = "1:y 2:b",
        ["Empty"] = "",
        ["Pair"] = "1:s 2:s",
        ["Order"] = "1:(Empty)",
        ["Group"] = "1:*(Chunk) 2:l 3:l 4:*(Sorting) 5:l 6:l 7:h",
        ["Sorting"] = "1:i 2:b 3:b",
        ["Chunk"] = "1:s 2:l 3:(Column) 4:l 5:i 6:l 7:i 9:s",
        ["Column"] = "1:i 2:*i 3:*s 4:i 5:l 6:l 7:l 8:*(Pair) 9:l 10:l 11:l 12:(Statistics) 13:*(Encodings) 14:l 15:i 16:(Sizes)",
        ["Statistics"] = "1:s 2:s 3:l 4:l 5:s 6:s 7:b 8:b",
        ["Encodings"] = "1:i 2:i 3:i",
        ["Sizes"] = "1:l 2:*l 3:*l",
        ["Page"] = "1:i 2:i 3:i 4:i 5:(Data) 6:(Empty) 7:(Dictionary) 8:(Data2)",
        ["Data"] = "1:i 2:i 3:i 4:i 5:(Statistics)",
        ["Dictionary"] = "1:i 2:i 3:b",
        ["Data2"] = "1:i 2:i 3:i 4:i 5:i 6:i 7:b 8:(Statistics)",
    };

    private static readonly Dictionary<string, Dictionary<int, string>> Parsed = Written.ToDictionary(structure => structure.Key,
        structure => structure.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries).ToDictionary(field => int.Parse(field.Split(':')[0], System.Globalization.CultureInfo.InvariantCulture), field => field.Split(':')[1]));

    /// <summary>What a field of a structure is; null for one that is not known here.</summary>
    public static string? Field(string structure, int id) => Parsed[structure].GetValueOrDefault(id);
}
