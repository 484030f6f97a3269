using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace LowRank.Tokenizers.Exchange;

/// <summary>llama.cpp's names of the ways to split a text before byte pairs are merged. It knows a tokenizer by the ids
/// that it gives for one text.</summary>
/// <remarks>Text and digests are those of llama.cpp's converter (<c>get_vocab_base_pre</c> in its base.py); of those
/// with the same digest, its last.</remarks>
internal static class PreTokenizerNames
{
    private const string Sample =
        "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫\ufe0f (multiple emojis " +
        "concatenated) ✅ 🦙🦙 3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 កាន់តែពិសេសអាច" +
        "😁 ?我想在apple工作1314151天～ ------======= нещо на Български ''''''```````\"\"\"\"......!!!!!!????" +
        "?? I've been 'told he's there, 'RE you sure? 'M not sure I'll make it, 'D you like some tea?" +
        " We'Ve a'lL";

    private static readonly Dictionary<string, string> ByDigest = new(StringComparer.Ordinal)
    {
        ["b0a6b1c0bd5998ebd9df08611efde34a4ff03faed45ae09c43e6b31ebd4b94cf"] = "a.x-4.0",
        ["8e62295832751ca1e8f92f2226f403dea30dc5165e448b5bfa05af5340c64ec7"] = "bert-bge-large",
        ["9c2227e4dd922002fb81bde4fc02b0483ca4f12911410dee2255e4987644e3f8"] = "command-r",
        ["a8594e3edff7c29c003940395316294b2c623e09894deebbc65f33f1515df79e"] = "dbrx",
        ["347715f544604f9118bb75ed199f68779f423cabb20db6de6f31b908d04d7821"] = "deepseek-coder",
        ["049ecf7629871e3041641907f3de7c733e4dbfdc736f57d882ba0b0845599754"] = "deepseek-llm",
        ["b3f499bb4255f8ca19fccd664443283318f2fd2414d5e0b040fbdd0cc195d6c5"] = "deepseek-r1-qwen",
        ["9d032fcbd5501f4a38150912590928bfb36091efb5df11b8e2124b0390e3fb1e"] = "falcon3",
        ["0fe1cf6eda062318a1af7270f3331a85c539a01778ff948e24388e949c5282f4"] = "gpt-2",
        ["3ce83efda5659b07b1ad37ca97ca5797ea4285d9b9ab0dc679e4a720c9da7454"] = "gpt-2",
        ["ccc2ef013c104be7bae2965776d611e1d7a8a2a9c547dd93a682c9a9fc80352e"] = "gpt-4o",
        ["789696f5946cc0fc59371f39f6097cafed196b3acded6140432f26bbb1ae1669"] = "granite-embed-multi-311m",
        ["f241072145675bf8322086f115aebad05e9f869557a238bf2150a2a417d1bf60"] = "granite-embed-multi-97m",
        ["0876d13b50744004aa9aeae05e7b0647eac9d801b5ba4668afc01e709c15e19f"] = "jina-v2-en",
        ["4a2e2abae11ca2b86d570fc5b44be4d5eb5e72cc8f22dd136a94b37da83ab665"] = "kormo",
        ["0ef9807a4087ebef797fc749390439009c3b9eda9ad1a097abbe738f486c01e5"] = "llama-bpe",
        ["d4c8f286ea6b520b3d495c4455483cfa2302c0cfcd4be05d781b6a8a0a7cdaf1"] = "megrez",
        ["a1e163ecab2e718a4c829d1148b6e86824ec36163bb71941c3dca9cd5ac25756"] = "mellum",
        ["1431a23e583c97432bc230bff598d103ddb5a1f89960c8f1d1051aaa944d0b35"] = "minerva-7b",
        ["4b05e02dad1c5ae07d266fd3342ddb644c6f6be058d728bc0a33af31a1d6ee66"] = "mmbert",
        ["a0b64b4385f123663873756336c085744376d015ff328bb1d901598f63c44152"] = "modern-bert",
        ["b6dc8df998e1cfbdc4eac8243701a65afe638679230920b50d6f17d81c098166"] = "olmo",
        ["d4540891389ea895b53b399da6ac824becc30f2fba0e9ddbb98f92e55ca0e97c"] = "qwen2",
        ["e636dc30a262dcc0d8c323492e32ae2b70728f4df7dfe9737d9f920a282b8aea"] = "qwen2",
        ["8b5a93ed704057481f240da0be7e7dca721d7f8f4755263b6807227a2cbeae65"] = "roberta-bpe",
        ["d5f1dd6f980fec569fb218a81a7658ac45fc56b38c5a0adeb1c232fbe04ef5ec"] = "seed-coder",
        ["c136ed14d01c2745d4f60a9596ae66800e2b61fa45643e72436041855ad4089d"] = "smaug-bpe",
        ["855059429035d75a914d1eda9f10a876752e281a054a7a3d421ef0533e5b6249"] = "smollm",
        ["35d91631860c815f952d711435f48d356ebac988362536bed955d43bfa436e34"] = "starcoder",
        ["7dec86086fcc38b66b7bc1575a160ae21cf705be7718b9d5598190d7c12db76f"] = "superbpe",
        ["63b97e4253352e6f357cc59ea5b583e3a680eaeaf2632188c2b952de2588485e"] = "tekken",
    };

    /// <summary>The name for a tokenizer; null if llama.cpp's converter does not know it.</summary>
    public static string? Find(ITextTokenizer tokenizer) => ByDigest.GetValueOrDefault(Digest(tokenizer));

    /// <summary>The digest of the ids of the sample, special tokens included, written as a list of Python's.</summary>
    public static string Digest(ITextTokenizer tokenizer)
    {
        string list = string.Join(
            ", ", tokenizer.Encode(Sample).Select(id => id.ToString(CultureInfo.InvariantCulture)));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"[{list}]")));
    }
}
