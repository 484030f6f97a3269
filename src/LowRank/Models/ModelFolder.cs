using LowRank.Tensors;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Writes Hugging Face model folders.</summary>
public static class ModelFolder
{
    private static readonly string[] Companions =
    [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "*.model", "chat_template.jinja", "chat_template.json",
    ];

    /// <summary>Writes weights beside copies of a source folder's config and tokenizer files; the folder appears whole or
    /// not at all.</summary>
    /// <param name="source">The folder whose companions are copied.</param>
    /// <param name="target">The folder to make.</param>
    /// <param name="weights">Tensors by checkpoint name, in the dtype to be stored.</param>
    /// <exception cref="InputException">The target is the source.</exception>
    public static void Write(string source, string target, IReadOnlyList<KeyValuePair<string, Tensor>> weights)
    {
        if (Path.GetFullPath(source).TrimEnd('/', '\\') == Path.GetFullPath(target).TrimEnd('/', '\\'))
            throw new InputException($"{target} is the model that is read. Choose another output folder.");
        AtomicFolder.Write(target, folder =>
        {
            CopyCompanions(source, folder);
            CheckpointWriter.Write(folder, weights);
        });
    }

    private static void CopyCompanions(string source, string folder)
    {
        foreach (string pattern in Companions)
            foreach (string file in Directory.GetFiles(source, pattern))
                File.Copy(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
    }
}
