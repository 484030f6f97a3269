namespace LowRank.Tokenization.Patterns;

/// <summary>What a step of a compiled pattern does.</summary>
internal enum PatternOperation
{
    /// <summary>Ends with a match.</summary>
    Match,

    /// <summary>Takes a character of the class.</summary>
    Take,

    /// <summary>Takes as many characters of the class as it can, and gives them back one by one when what follows fails.</summary>
    TakeMany,

    /// <summary>Takes as many characters of the class as it can and keeps them.</summary>
    TakeAll,

    /// <summary>Goes on at First; when that fails, at Second.</summary>
    Fork,

    /// <summary>Goes on at First.</summary>
    Jump,

    /// <summary>Remembers the place in the text in register First.</summary>
    Mark,

    /// <summary>Goes on at Second when the place is still that of register First: a repeated part has taken nothing.</summary>
    LeaveWhenStill,

    /// <summary>Fails unless the place is one of First, a <see cref="PatternPlace"/>.</summary>
    At,

    /// <summary>Looks whether the part matches here, taking nothing.</summary>
    Ahead,

    /// <summary>Looks whether the part does not match here.</summary>
    NotAhead,

    /// <summary>Looks whether the part matches up to here, being First to Second characters long.</summary>
    Behind,

    /// <summary>Looks whether the part does not match up to here.</summary>
    NotBehind,

    /// <summary>Takes what the part matches and never gives it back.</summary>
    Atomic,
}
