using System.Text.RegularExpressions;

namespace LowRank.Hub;

/// <summary>A model repository of the Hugging Face Hub at a revision, as users name it: <c>org/name</c>, <c>org/name@revision</c>.</summary>
/// <param name="Id">The repository, such as <c>openai-community/gpt2</c>.</param>
/// <param name="Revision">A branch, a tag or a commit; <c>main</c> where none is named.</param>
public sealed partial record HubRepository(string Id, string Revision = HubRepository.DefaultRevision)
{
    /// <summary>The branch of a repository that is named without one.</summary>
    public const string DefaultRevision = "main";

    /// <summary>The name of the repository's folder in the cache.</summary>
    public string CacheFolderName => "models--" + Id.Replace("/", "--");

    /// <summary>Whether the revision is a commit, which never changes.</summary>
    public bool IsCommit => Commit().IsMatch(Revision);

    /// <summary>Reads a name; null where the text is none, as most paths are not: a name has one slash and starts with a letter or digit.</summary>
    public static HubRepository? TryParse(string text)
    {
        Match match = Name().Match(text);
        if (!match.Success) return null;
        string id = match.Groups["id"].Value, revision = match.Groups["revision"].Success ? match.Groups["revision"].Value : DefaultRevision;
        bool isId = !id.Contains("..", StringComparison.Ordinal) && !id.Contains("--", StringComparison.Ordinal) && id.Split('/').All(part => part[^1] is not ('.' or '-'));
        return isId && IsReference(revision) ? new HubRepository(id, revision) : null;
    }

    // git's rule for branches and tags, which also keeps a reference within its folder of the cache.
    private static bool IsReference(string name) => !name.Contains("..", StringComparison.Ordinal)
        && name.Split('/').All(part => part.Length > 0 && part[0] != '.' && part[^1] != '.' && !part.EndsWith(".lock", StringComparison.Ordinal));

    /// <inheritdoc/>
    public override string ToString() => Revision == DefaultRevision ? Id : $"{Id}@{Revision}";

    // The Hub's own rule for names: letters, digits, "-", "_" and ".", at most 96 characters; no "--" and no "..".
    [GeneratedRegex(@"\A(?<id>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95})(?:@(?<revision>[\w./-]{1,200}))?\z", RegexOptions.ExplicitCapture | RegexOptions.ECMAScript)]
    private static partial Regex Name();

    [GeneratedRegex(@"\A[0-9a-f]{40}\z")]
    private static partial Regex Commit();
}
