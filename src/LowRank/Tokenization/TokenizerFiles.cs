using System.Security.Cryptography;
using System.Text;

namespace LowRank.Tokenization;

/// <summary>What a tokenizer is made from.</summary>
internal static class TokenizerFiles
{
    private static readonly string[] Names =
    [
        "added_tokens.json", "chat_template.jinja", "chat_template.json", "config.json", "merges.txt", "sentencepiece.bpe.model", "special_tokens_map.json", "spiece.model",
        "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt",
    ];

    /// <summary>A number for all of it.</summary>
    /// <param name="text">The text of tokenizer.json, which need not be the folder's.</param>
    /// <param name="folder">A model's folder; null for none.</param>
    /// <param name="endOfText">The token that ends a text.</param>
    public static string Fingerprint(string text, string? folder, int? endOfText)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(SHA256.HashData(Encoding.UTF8.GetBytes($"{endOfText} {text}")));
        foreach (string path in folder is null ? [] : Names.Select(name => Path.Combine(folder, name)).Where(File.Exists).Concat(ChatTemplateFiles.Further(folder)))
        {
            hash.AppendData(SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFileName(path))));
            hash.AppendData(SHA256.HashData(SmallFile.ReadBytes(path, SmallFile.MostOfVocabulary)));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
