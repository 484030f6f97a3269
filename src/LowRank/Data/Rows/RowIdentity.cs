using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using LowRank.Tokenization.Unicode;

namespace LowRank.Data.Rows;

/// <summary>Numbers by which equal rows are found: 128 bits of SHA-256, which no two different rows share by chance.</summary>
internal static class RowIdentity
{
    /// <summary>Of the whole row, whatever the order of its fields.</summary>
    public static UInt128 Exact(JsonObject row)
    {
        var text = new StringBuilder();
        Write(row, text);
        return Hash(text.ToString());
    }

    /// <summary>Of the letters and digits of its texts, case and compatibility forms left out; names of fields count.</summary>
    public static UInt128 Normalized(JsonObject row)
    {
        var text = new StringBuilder();
        Write(row, text);
        return Hash(Plain(text.ToString()));
    }

    /// <summary>Of a text as it is.</summary>
    public static UInt128 Hash(string text)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(text), hash);
        return BinaryPrimitives.ReadUInt128LittleEndian(hash);
    }

    /// <summary>Letters and digits in lower case, one blank for everything between.</summary>
    public static string Plain(string text)
    {
        var plain = new StringBuilder(text.Length);
        foreach (char c in UnicodeNormalization.Nfkc(text))
        {
            if (char.IsLetterOrDigit(c) || char.IsSurrogate(c) || char.GetUnicodeCategory(c) is UnicodeCategory.NonSpacingMark) plain.Append(char.ToLowerInvariant(c));
            else if (plain.Length > 0 && plain[^1] != ' ') plain.Append(' ');
        }
        return plain.ToString().TrimEnd();
    }

    // Keys sorted, parted by characters that texts do not hold.
    private static void Write(JsonNode? node, StringBuilder text)
    {
        if (node is JsonObject fields)
        {
            text.Append('{');
            foreach ((string key, JsonNode? value) in fields.OrderBy(field => field.Key, StringComparer.Ordinal))
            {
                text.Append(key).Append('\u0001');
                Write(value, text);
            }
            text.Append('}');
        }
        else if (node is JsonArray list)
        {
            text.Append('[');
            foreach (JsonNode? item in list) Write(item, text);
            text.Append(']');
        }
        else text.Append(Sample.AsText(node) ?? node?.ToJsonString() ?? "null").Append('\u0002');
    }
}
