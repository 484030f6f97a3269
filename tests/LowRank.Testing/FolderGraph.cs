using System.Reflection;
using System.Reflection.Emit;
using System.Text.RegularExpressions;

namespace LowRank.Testing;

/// <summary>Which folders of a project use which, by what its compiled code refers to.</summary>
/// <remarks>The project's own folder does not count: it has the front door and what all share. Constants are not seen:
/// the compiler leaves no trace of where they stand.</remarks>
public sealed partial class FolderGraph
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance
        | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly OpCode[] Short = new OpCode[256], Long = new OpCode[256];

    private readonly Dictionary<(string Namespace, string Name), string> folders = [];
    private readonly SortedDictionary<string, SortedDictionary<string, string>> uses = new(StringComparer.Ordinal);

    static FolderGraph()
    {
        foreach (OpCode code in typeof(OpCodes).GetFields().Select(field => field.GetValue(null)).OfType<OpCode>())
            (code.Size == 1 ? Short : Long)[(byte)code.Value] = code;
    }

    /// <summary>Reads a project.</summary>
    /// <param name="assembly">Its assembly.</param>
    /// <param name="project">Its folder in the repository.</param>
    public FolderGraph(Assembly assembly, string project)
    {
        string root = Path.Combine(RepositoryFiles.Root, project);
        foreach (string path in SourceFiles.In(root))
        {
            string code = File.ReadAllText(path), folder = Path.GetRelativePath(root, Path.GetDirectoryName(path)!);
            string place = Namespace().Match(code).Groups["name"].Value;
            if (folder == ".") continue; // the front, and what all share
            foreach (Match type in TypeName().Matches(code)) folders[(place, type.Groups["name"].Value)] = folder;
        }
#pragma warning disable RS0030 // the assembly as a whole is what is looked at; nothing is registered by it
        foreach (Type type in assembly.GetTypes())
#pragma warning restore RS0030
        {
            if (FolderOf(type) is not { } from) continue;
            foreach (Type used in UsedBy(type))
                if (FolderOf(used) is { } to && to != from && used.Assembly == assembly) Add(from, to, type, used);
        }
    }

    /// <summary>Fails where folders use each other in circles that are not known.</summary>
    /// <param name="known">Folders in circles that nobody has mended yet; one that is in none any more fails too, so
    /// that the list only shrinks.</param>
    public void HasNoCirclesBut(params string[] known)
    {
        int count = uses.Values.Sum(used => used.Count);
        Assert.True(count > 3, $"only {count} uses were seen: the scan is broken");
        IReadOnlyList<(IReadOnlyList<string> Folders, string Uses)> cycles = Cycles();
        string[] found = [.. cycles.SelectMany(cycle => cycle.Folders)];
        string all = string.Join("\n\n", cycles.Select(cycle => cycle.Uses));
        Assert.True(found.All(known.Contains), $"In a circle: {string.Join(", ", found.Except(known))}\n{all}");
        Assert.True(known.All(found.Contains),
            $"In no circle any more, to be taken off the list: {string.Join(", ", known.Except(found))}");
    }

    /// <summary>Groups of folders that use each other, directly or through others, with an example of each
    /// use.</summary>
    private List<(IReadOnlyList<string> Folders, string Uses)> Cycles()
    {
        var reached = uses.Keys.ToDictionary(folder => folder, Reached);
        bool Mutual(string a, string b) => reached[a].Contains(b) && reached.TryGetValue(b, out var back)
            && back.Contains(a);
        var groups = uses.Keys.Where(folder => reached[folder].Contains(folder))
            .GroupBy(folder => uses.Keys.First(other => other == folder || Mutual(folder, other)));
        return
        [
            .. groups.Select(group => (Folders: (IReadOnlyList<string>)[.. group],
                Uses: string.Join('\n', group.SelectMany(from => uses[from].Where(use => group.Contains(use.Key))
                    .Select(use => $"{from} uses {use.Key}: {use.Value}"))))),
        ];
    }

    private HashSet<string> Reached(string from)
    {
        HashSet<string> found = [];
        var open = new Stack<string>([from]);
        while (open.TryPop(out string? folder))
            foreach (string next in uses.TryGetValue(folder, out var used) ? used.Keys : Enumerable.Empty<string>())
                if (found.Add(next)) open.Push(next);
        return found;
    }

    private void Add(string from, string to, Type type, Type used)
    {
        if (!uses.TryGetValue(from, out SortedDictionary<string, string>? targets))
            uses[from] = targets = new(StringComparer.Ordinal);
        targets.TryAdd(to, $"{Outermost(type).Name} → {Outermost(used).Name}");
    }

    private string? FolderOf(Type type)
    {
        Type outer = Outermost(type);
        return folders.GetValueOrDefault((outer.Namespace ?? "", outer.Name.Split('`')[0]));
    }

    private static Type Outermost(Type type)
    {
        while (type.DeclaringType is { } outer) type = outer;
        return type;
    }

    private static IEnumerable<Type> UsedBy(Type type)
    {
        IEnumerable<Type?> all =
        [
            type.BaseType, .. type.GetInterfaces().Except(type.BaseType?.GetInterfaces() ?? []),
            .. type.GetFields(Declared).Select(field => field.FieldType),
            .. type.GetMethods(Declared).Select(method => method.ReturnType),
            .. type.GetMethods(Declared).Concat<MethodBase>(type.GetConstructors(Declared)).SelectMany(OfMethod),
        ];
        return all.OfType<Type>().SelectMany(Parts).Distinct();
    }

    private static IEnumerable<Type?> OfMethod(MethodBase method)
    {
        foreach (ParameterInfo parameter in method.GetParameters()) yield return parameter.ParameterType;
        if (method.GetMethodBody() is not { } body) yield break;
        foreach (LocalVariableInfo local in body.LocalVariables) yield return local.LocalType;
        foreach (MemberInfo member in Members(method, body.GetILAsByteArray() ?? []))
        {
            yield return member as Type ?? member.DeclaringType;
            if (member is MethodInfo { IsGenericMethod: true } called)
                foreach (Type argument in called.GetGenericArguments()) yield return argument;
        }
    }

    private static IEnumerable<MemberInfo> Members(MethodBase method, byte[] code)
    {
        Type[]? ofType = method.DeclaringType is { IsGenericType: true } type ? type.GetGenericArguments() : null;
        Type[]? ofMethod = method.IsGenericMethod ? method.GetGenericArguments() : null;
        for (int at = 0; at < code.Length;)
        {
            OpCode operation = code[at] == 0xFE ? Long[code[at + 1]] : Short[code[at]];
            at += operation.Size;
            if (operation.OperandType is OperandType.InlineField or OperandType.InlineMethod
                or OperandType.InlineTok or OperandType.InlineType
                && method.Module.ResolveMember(BitConverter.ToInt32(code, at), ofType, ofMethod) is { } member)
                yield return member;
            at += operation.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + 4 * BitConverter.ToInt32(code, at),
                _ => 4,
            };
        }
    }

    private static IEnumerable<Type> Parts(Type type) => type.HasElementType ? Parts(type.GetElementType()!)
        : type.IsConstructedGenericType ? [type, .. type.GetGenericArguments().SelectMany(Parts)] : [type];

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex("""
        ^(?:(?:public|internal|sealed|static|abstract|partial|readonly|ref|unsafe)\s+)*
        (?:class|record\s+struct|record|struct|interface|enum|delegate\s+[\w<>\[\],?.]+)\s+(?<name>\w+)
        """, RegexOptions.Multiline | RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex TypeName();
}
