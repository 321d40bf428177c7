//! What the log says: each kind of record with its name, its number and its weight.
//!
//! The number is the `MESSAGE_ID` by which the journal finds a record and its explanation
//! (`journalctl -x`, `journalctl MESSAGE_ID=…`). The explanations are in
//! `packaging/journal/tokenkeeper.catalog`, and the manual has a table of them; a test holds
//! the three together.
//!
//! # Invariants
//!
//! * Names and numbers are for ever: added, never changed, never used again.
//! * Whoever logs names the kind in the field `event`, by [`Message::as_str`].

/// A kind of record.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Message {
    /// An attempt begins.
    RefreshStarted,
    /// There is a new token.
    TokenChanged,
    /// An attempt failed, and there will be another one.
    RefreshFailed,
    /// A failure is raised.
    Alarm,
    /// A failure is raised that only a login ends: the way back is lost.
    NeedsLogin,
    /// The first good attempt after failures.
    Recovered,
    /// The token expired and no newer one is there.
    Expired,
    /// The login itself ends soon.
    ExpiryAhead,
    /// The state changed in a way that none of the others tells.
    StateChanged,
    /// A hook could not be called, failed, or was not called for want of room.
    HookFailed,
    /// An order that was taken was not carried out.
    OrderFailed,
    /// Something of an account was not made durable.
    WriteFailed,
    /// A program of the operator's had something to say.
    ProgramSaid,
    /// A refresh token was handed out.
    HandedOut,
    /// All that the store held of an account was forgotten.
    Purged,
    /// A backup was sealed.
    BackupSealed,
    /// A peer asked for what no rule gives it.
    AccessDenied,
    /// A unit was given a credential.
    UnitServed,
    /// A unit was refused a credential.
    UnitRefused,
    /// Who asked for a unit's credential is not the service manager.
    NotSystemd,
    /// A connection was not accepted, for want of something.
    NotAccepted,
    /// polkit let a peer do what no rule gives it.
    Authorized,
    /// The daemon has its name on the message bus.
    BusServed,
    /// The message bus is gone, or does not give the daemon its name.
    BusLost,
    /// The service manager does not tell which units peers belong to.
    UnitsUnknown,
    /// The level of the log was changed over the message bus.
    LevelSet,
    /// The daemon answers requests.
    Ready,
    /// The end of the daemon has begun.
    Stopping,
    /// The daemon does not end before the disk has taken what is in its memory alone.
    StopWaits,
    /// The daemon has ended.
    Stopped,
    /// Another configuration is in force.
    Reloaded,
    /// A configuration was refused, and the old one stays in force.
    ReloadRefused,
    /// What is in force may not be what was meant.
    Doubtful,
    /// The store held something that cannot be read.
    StoreDamaged,
    /// A new store was made where there may have been one.
    StoreMade,
    /// Somebody took a file of the store away or changed it, and it was put back.
    StoreMeddled,
    /// The disk is full, and the room in reserve was given up.
    ReserveUsed,
    /// What an earlier daemon could not write was kept by the service manager, and is used.
    UnsavedUsed,
    /// Something that the service manager kept is not used.
    UnsavedRefused,
    /// The wall clock was set, or the host slept.
    ClockStepped,
    /// A part of the daemon does not get on.
    Unresponsive,
    /// A thread panicked.
    Panicked,
    /// More warnings of one kind came than are told one by one.
    MoreAlike,
    /// Records were lost, because nobody took them.
    RecordsLost,
}

/// How much a record weighs, in the terms of syslog(3). The first is the gravest.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Priority {
    /// A way back is lost.
    Critical,
    /// Somebody must see to it.
    Error,
    /// It may become that.
    Warning,
    /// It is worth to be known.
    Notice,
    /// It happened.
    Info,
    /// It happened on the way.
    Debug,
}

struct Kind {
    name: &'static str,
    id: u128,
    priority: Priority,
}

impl Message {
    /// Every kind, those of accounts first.
    pub const ALL: &[Self] = &[
        Self::RefreshStarted,
        Self::TokenChanged,
        Self::RefreshFailed,
        Self::Alarm,
        Self::NeedsLogin,
        Self::Recovered,
        Self::Expired,
        Self::ExpiryAhead,
        Self::StateChanged,
        Self::HookFailed,
        Self::OrderFailed,
        Self::WriteFailed,
        Self::ProgramSaid,
        Self::HandedOut,
        Self::Purged,
        Self::BackupSealed,
        Self::AccessDenied,
        Self::UnitServed,
        Self::UnitRefused,
        Self::NotSystemd,
        Self::NotAccepted,
        Self::Authorized,
        Self::BusServed,
        Self::BusLost,
        Self::UnitsUnknown,
        Self::LevelSet,
        Self::Ready,
        Self::Stopping,
        Self::StopWaits,
        Self::Stopped,
        Self::Reloaded,
        Self::ReloadRefused,
        Self::Doubtful,
        Self::StoreDamaged,
        Self::StoreMade,
        Self::StoreMeddled,
        Self::ReserveUsed,
        Self::UnsavedUsed,
        Self::UnsavedRefused,
        Self::ClockStepped,
        Self::Unresponsive,
        Self::Panicked,
        Self::MoreAlike,
        Self::RecordsLost,
    ];

    #[rustfmt::skip]
    const fn kind(self) -> Kind {
        match self {
            Self::RefreshStarted => Kind::new("refresh_started", 0x4e8f_e930_d514_4a74_b849_7f47_20bb_908b, Priority::Debug),
            Self::TokenChanged   => Kind::new("token_changed",   0xfa7d_19de_3fa5_4f37_9d11_be82_44b2_2ced, Priority::Info),
            Self::RefreshFailed  => Kind::new("refresh_failed",  0x91d1_f92c_aa99_4e15_b4df_b74b_8e87_5a1f, Priority::Warning),
            Self::Alarm          => Kind::new("alarm",           0xf6c8_29a4_d16f_48cf_961e_3f69_b6b4_267b, Priority::Error),
            Self::NeedsLogin     => Kind::new("needs_login",     0x2ad4_e98b_1de6_4a92_856e_a21a_9d92_931e, Priority::Critical),
            Self::Recovered      => Kind::new("recovered",       0xc6e4_93ec_5641_4bfb_ab31_2478_658a_99b6, Priority::Notice),
            Self::Expired        => Kind::new("expired",         0xb937_201d_ae2b_4eb2_abd8_2b7d_f029_4eb2, Priority::Warning),
            Self::ExpiryAhead    => Kind::new("expiry_ahead",    0x1526_f37b_b508_4ef1_840d_e7ed_6dde_f0f1, Priority::Warning),
            Self::StateChanged   => Kind::new("state_changed",   0xe952_ca3d_5c4b_4c2d_8af1_db68_a536_e797, Priority::Info),
            Self::HookFailed     => Kind::new("hook_failed",     0x1951_4358_b94c_47bf_827a_0948_1409_621f, Priority::Warning),
            Self::OrderFailed    => Kind::new("order_failed",    0xaea2_0efe_3110_44d9_b0a8_dd97_622c_fe9f, Priority::Warning),
            Self::WriteFailed    => Kind::new("write_failed",    0x2953_e830_c387_4aed_9143_50f4_7072_7528, Priority::Warning),
            Self::ProgramSaid    => Kind::new("program_said",    0x8571_34dc_2dfc_4eb3_b893_7b05_38e5_258a, Priority::Warning),
            Self::HandedOut      => Kind::new("handed_out",      0x4b90_51e9_67f0_4fc7_9c5d_e6d6_9fa2_5b24, Priority::Warning),
            Self::Purged         => Kind::new("purged",          0x5702_f89f_a9e1_4ce5_bb4f_e75b_2b37_0094, Priority::Notice),
            Self::BackupSealed   => Kind::new("backup_sealed",   0x3ba8_e07b_7a97_483c_97b4_2b21_013f_952b, Priority::Notice),
            Self::AccessDenied   => Kind::new("access_denied",   0xcd95_858b_9df0_4305_95e9_553d_780a_1595, Priority::Notice),
            Self::UnitServed     => Kind::new("unit_served",     0xea8c_d68d_6b2e_44b4_bd85_65fb_5313_642c, Priority::Info),
            Self::UnitRefused    => Kind::new("unit_refused",    0x341f_8e8a_1db1_45e7_a8c4_b642_1a29_1d09, Priority::Warning),
            Self::NotSystemd     => Kind::new("not_systemd",     0xad77_f0fe_86d1_4c41_b194_2170_0cd9_76f1, Priority::Warning),
            Self::NotAccepted    => Kind::new("not_accepted",    0xc817_2023_1e62_4396_93eb_bb1c_951d_9ae3, Priority::Warning),
            Self::Authorized     => Kind::new("authorized",      0xe743_11af_9441_7b6d_fa0d_1106_7238_0a94, Priority::Notice),
            Self::BusServed      => Kind::new("bus_served",      0x26c3_aee6_f5c9_ca74_46e1_732d_8d83_2e94, Priority::Info),
            Self::BusLost        => Kind::new("bus_lost",        0x1186_7c6c_cdca_7a27_a956_9090_8990_f80f, Priority::Warning),
            Self::UnitsUnknown   => Kind::new("units_unknown",   0x7be2_40d6_95a1_4c0f_8d3e_61fa_b2c8_5917, Priority::Warning),
            Self::LevelSet       => Kind::new("level_set",       0x545b_5ea8_92d9_d05a_690b_e5ff_5745_fdd7, Priority::Notice),
            Self::Ready          => Kind::new("ready",           0xb890_670a_158b_41ac_bdd0_74e8_e183_a8b3, Priority::Info),
            Self::Stopping       => Kind::new("stopping",        0x6ac9_93c6_9a84_46cb_96bf_1a64_a97e_1d7b, Priority::Info),
            Self::StopWaits      => Kind::new("stop_waits",      0xb7d0_416f_2ae3_4c1d_9c58_e032_7f4a_916b, Priority::Warning),
            Self::Stopped        => Kind::new("stopped",         0x07b3_7eb8_c2c9_4bb1_a6af_5d95_d172_3735, Priority::Info),
            Self::Reloaded       => Kind::new("reloaded",        0x0403_c563_f61e_4cb5_8cf3_6b49_3aa0_ea79, Priority::Info),
            Self::ReloadRefused  => Kind::new("reload_refused",  0xbfcd_ae2a_517e_422f_bd6d_c246_859a_9266, Priority::Error),
            Self::Doubtful       => Kind::new("doubtful",        0xcb3c_2a11_15d7_45e7_a2db_0381_ee9c_ad53, Priority::Warning),
            Self::StoreDamaged   => Kind::new("store_damaged",   0x55fb_0096_5b66_4d91_bef5_b6b1_b801_b519, Priority::Error),
            Self::StoreMade      => Kind::new("store_made",      0x0c71_313c_f91d_87c4_72c5_cb56_5e87_febf, Priority::Warning),
            Self::StoreMeddled   => Kind::new("store_meddled",   0xbd49_0798_113d_30fa_290e_c1c0_3f1c_f3aa, Priority::Warning),
            Self::ReserveUsed    => Kind::new("reserve_used",    0x3bcd_8d53_b388_4598_bdf0_e2de_b097_82ab, Priority::Warning),
            Self::UnsavedUsed    => Kind::new("unsaved_used",    0x9d1c_52ea_6b0f_4c83_b7a4_21f8_0e5d_c936, Priority::Warning),
            Self::UnsavedRefused => Kind::new("unsaved_refused", 0x3f70_b8d4_95c2_4e1a_a6f3_7c0d_5912_8be4, Priority::Error),
            Self::ClockStepped   => Kind::new("clock_stepped",   0xfa0e_e4e2_7ed6_48f1_afb3_a621_2edd_7984, Priority::Notice),
            Self::Unresponsive   => Kind::new("unresponsive",    0x982f_1d6e_d1bd_453d_88d5_fb6a_2ba0_6aa4, Priority::Error),
            Self::Panicked       => Kind::new("panicked",        0xd7af_3d41_f873_47bb_b1fe_1dd9_801d_ca34, Priority::Error),
            Self::MoreAlike      => Kind::new("more_alike",      0xae8a_399c_9918_4b5e_ab88_0f6a_a116_dfb2, Priority::Warning),
            Self::RecordsLost    => Kind::new("records_lost",    0xa512_3afd_1385_4fac_9b7e_f986_ba74_f27c, Priority::Warning),
        }
    }

    /// Its name: the field `event` of a record.
    pub const fn as_str(self) -> &'static str {
        self.kind().name
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|message| message.as_str() == name)
    }

    /// Its number, as 32 hexadecimal digits.
    pub fn id(self) -> String {
        format!("{:032x}", self.kind().id)
    }

    /// How much it weighs.
    pub const fn priority(self) -> Priority {
        self.kind().priority
    }
}

impl Priority {
    /// The number of syslog(3), of which the smallest is the gravest.
    pub const fn number(self) -> u8 {
        match self {
            Self::Critical => 2,
            Self::Error => 3,
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Info => 6,
            Self::Debug => 7,
        }
    }

    /// The word of syslog(3).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "crit",
            Self::Error => "err",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl Kind {
    const fn new(name: &'static str, id: u128, priority: Priority) -> Self {
        Self { name, id, priority }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::notice::EventName;

    /// A diff here breaks searches and alerts of administrators: add, never edit.
    #[test]
    fn names_and_numbers_are_frozen() {
        let rows = Message::ALL.iter().map(|message| {
            let (id, name) = (message.id(), message.as_str());
            format!("{id} {name:<16}{}", message.priority().as_str())
        });
        insta::assert_snapshot!(rows.collect::<Vec<_>>().join("\n"), @r"
        4e8fe930d5144a74b8497f4720bb908b refresh_started debug
        fa7d19de3fa54f379d11be8244b22ced token_changed   info
        91d1f92caa994e15b4dfb74b8e875a1f refresh_failed  warning
        f6c829a4d16f48cf961e3f69b6b4267b alarm           err
        2ad4e98b1de64a92856ea21a9d92931e needs_login     crit
        c6e493ec56414bfbab312478658a99b6 recovered       notice
        b937201dae2b4eb2abd82b7df0294eb2 expired         warning
        1526f37bb5084ef1840de7ed6ddef0f1 expiry_ahead    warning
        e952ca3d5c4b4c2d8af1db68a536e797 state_changed   info
        19514358b94c47bf827a09481409621f hook_failed     warning
        aea20efe311044d9b0a8dd97622cfe9f order_failed    warning
        2953e830c3874aed914350f470727528 write_failed    warning
        857134dc2dfc4eb3b8937b0538e5258a program_said    warning
        4b9051e967f04fc79c5de6d69fa25b24 handed_out      warning
        5702f89fa9e14ce5bb4fe75b2b370094 purged          notice
        3ba8e07b7a97483c97b42b21013f952b backup_sealed   notice
        cd95858b9df0430595e9553d780a1595 access_denied   notice
        ea8cd68d6b2e44b4bd8565fb5313642c unit_served     info
        341f8e8a1db145e7a8c4b6421a291d09 unit_refused    warning
        ad77f0fe86d14c41b19421700cd976f1 not_systemd     warning
        c81720231e62439693ebbb1c951d9ae3 not_accepted    warning
        e74311af94417b6dfa0d110672380a94 authorized      notice
        26c3aee6f5c9ca7446e1732d8d832e94 bus_served      info
        11867c6ccdca7a27a95690908990f80f bus_lost        warning
        7be240d695a14c0f8d3e61fab2c85917 units_unknown   warning
        545b5ea892d9d05a690be5ff5745fdd7 level_set       notice
        b890670a158b41acbdd074e8e183a8b3 ready           info
        6ac993c69a8446cb96bf1a64a97e1d7b stopping        info
        b7d0416f2ae34c1d9c58e0327f4a916b stop_waits      warning
        07b37eb8c2c94bb1a6af5d95d1723735 stopped         info
        0403c563f61e4cb58cf36b493aa0ea79 reloaded        info
        bfcdae2a517e422fbd6dc246859a9266 reload_refused  err
        cb3c2a1115d745e7a2db0381ee9cad53 doubtful        warning
        55fb00965b664d91bef5b6b1b801b519 store_damaged   err
        0c71313cf91d87c472c5cb565e87febf store_made      warning
        bd490798113d30fa290ec1c03f1cf3aa store_meddled   warning
        3bcd8d53b3884598bdf0e2deb09782ab reserve_used    warning
        9d1c52ea6b0f4c83b7a421f80e5dc936 unsaved_used    warning
        3f70b8d495c24e1aa6f37c0d59128be4 unsaved_refused err
        fa0ee4e27ed648f1afb3a6212edd7984 clock_stepped   notice
        982f1d6ed1bd453d88d5fb6a2ba06aa4 unresponsive    err
        d7af3d41f87347bbb1fe1dd9801dca34 panicked        err
        ae8a399c99184b5eab880f6aa116dfb2 more_alike      warning
        a5123afd13854fac9b7ef986ba74f27c records_lost    warning
        ");
    }

    #[test]
    fn no_two_kinds_share_a_name_or_a_number() {
        let names = Message::ALL.iter().map(|it| it.as_str()).collect::<BTreeSet<_>>();
        let ids = Message::ALL.iter().map(|it| it.id()).collect::<BTreeSet<_>>();
        assert_eq!((names.len(), ids.len()), (Message::ALL.len(), Message::ALL.len()));
        let found = Message::ALL.iter().filter_map(|it| Message::named(it.as_str()));
        assert_eq!(found.collect::<Vec<_>>(), Message::ALL);
    }

    /// Whoever follows the events reads the same words in the journal.
    #[test]
    fn what_happens_to_accounts_has_the_name_that_it_has_on_the_wire() {
        let events = [
            (EventName::RefreshStarted, Message::RefreshStarted),
            (EventName::TokenChanged, Message::TokenChanged),
            (EventName::RefreshFailed, Message::RefreshFailed),
            (EventName::Alarm, Message::Alarm),
            (EventName::Recovered, Message::Recovered),
            (EventName::Expired, Message::Expired),
            (EventName::ExpiryAhead, Message::ExpiryAhead),
            (EventName::StateChanged, Message::StateChanged),
            (EventName::HookFailed, Message::HookFailed),
        ];
        for (event, message) in events {
            assert_eq!(event.as_str(), message.as_str());
        }
    }
}
